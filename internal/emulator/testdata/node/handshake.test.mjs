// A server that renders pages, as Clerk's SDK for Next.js does: undecided requests go to the
// Frontend API and come back with the cookies that are right.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clerk, keys, someone } from './emulator.mjs';

const app = 'http://localhost:3000';

// browser keeps cookies, and follows redirects of the app and of the Frontend API.
class Browser {
  cookies = new Map();

  async visit(url, more = {}) {
    for (let redirects = 0; redirects < 6; redirects++) {
      const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
      const request = new Request(url, { headers: { 'Sec-Fetch-Dest': 'document', Accept: 'text/html', Cookie: cookie } });
      const state = await clerk.authenticateRequest(request, { proxyUrl: keys.url, ...more });
      for (const line of state.headers.getSetCookie()) this.keep(line);
      let next = state.headers.get('Location');
      if (!next) return state;
      if (next.startsWith(keys.url)) {
        assert.equal(state.status, 'handshake');
        const answer = await fetch(next, { redirect: 'manual' });
        assert.equal(answer.status, 307);
        next = answer.headers.get('Location');
      }
      url = next;
    }
    assert.fail('the browser is sent around in a circle');
  }

  keep(line) {
    const [pair, ...attributes] = line.split('; ');
    const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
    if (name === '__clerk_redirect_count') return; // lives for three seconds
    if (attributes.includes('Max-Age=0')) this.cookies.delete(name);
    else this.cookies.set(name, value);
  }

  // page calls the Frontend API as clerk-js does.
  async page(path, form) {
    const response = await fetch(`${keys.url}/v1${path}?__clerk_db_jwt=${this.cookies.get('__clerk_db_jwt')}`, {
      method: 'POST',
      headers: { Origin: app },
      body: new URLSearchParams(form),
    });
    assert.equal(response.status, 200, await response.clone().text());
    return response.json();
  }

  // uat writes what clerk-js writes when somebody signs in or out.
  uat(value) {
    for (const name of this.cookies.keys()) if (name.startsWith('__client_uat')) this.cookies.set(name, String(value));
  }
}

test('a handshake gives a new browser its identity', async () => {
  const browser = new Browser();
  const state = await browser.visit(`${app}/dashboard`);
  assert.equal(state.status, 'signed-out');
  assert.match(browser.cookies.get('__clerk_db_jwt'), /^dvb_/);
  assert.equal(browser.cookies.get('__client_uat'), '0');
});

test('handshakes sign in, keep signed in, switch the organization and sign out', async () => {
  const user = await someone({ password: 'correct horse' });
  const organization = await clerk.organizations.createOrganization({ name: 'Engines', slug: `engines-${Date.now()}`, createdBy: user.id });
  const browser = new Browser();
  await browser.visit(`${app}/`);
  const { response, client } = await browser.page('/client/sign_ins', { identifier: user.emailAddresses[0].emailAddress, password: 'correct horse' });
  assert.equal(response.status, 'complete');
  browser.uat(Math.floor(client.updated_at / 1000));

  let state = await browser.visit(`${app}/dashboard?tab=1`);
  assert.equal(state.status, 'signed-in');
  assert.equal(state.toAuth().userId, user.id);
  assert.equal(state.toAuth().sessionClaims.azp, app);

  browser.uat(0); // it contradicts the session
  state = await browser.visit(`${app}/dashboard`);
  assert.equal(state.toAuth().sessionId, response.created_session_id);

  await browser.page(`/client/sessions/${response.created_session_id}/touch`, { active_organization_id: '' });
  state = await browser.visit(`${app}/orgs/${organization.slug}`, {
    organizationSyncOptions: { organizationPatterns: ['/orgs/:slug'] },
  });
  assert.equal(state.toAuth().orgId, organization.id);

  await clerk.sessions.revokeSession(response.created_session_id);
  browser.cookies.delete('__session');
  for (const name of [...browser.cookies.keys()]) if (name.startsWith('__session')) browser.cookies.delete(name);
  state = await browser.visit(`${app}/dashboard`);
  assert.equal(state.status, 'signed-out');
});
