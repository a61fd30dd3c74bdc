// The OAuth clients of the Model Context Protocol: its first SDK, and the client of its second, which compares issuers.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { auth as first } from '@modelcontextprotocol/sdk/client/auth.js';
import { auth as second } from '@modelcontextprotocol/client';
import { clerk, control, keys, someone } from './emulator.mjs';

// An MCP server, as far as a client must find out who authorizes it.
const server = createServer((request, response) => {
  if (request.url !== '/.well-known/oauth-protected-resource/mcp') return response.writeHead(404).end();
  response.writeHead(200, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify({ resource: resource, authorization_servers: [keys.url], scopes_supported: ['profile', 'email'] }));
}).listen(0, '127.0.0.1');
await once(server, 'listening');
after(() => server.close());
const resource = `http://127.0.0.1:${server.address().port}/mcp`;

const redirectUrl = 'http://localhost:9999/callback';

// provider keeps what a client must keep.
function provider() {
  const kept = {};
  return {
    kept,
    redirectUrl,
    clientMetadata: {
      redirect_uris: [redirectUrl], client_name: 'An MCP client', grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'],
      token_endpoint_auth_method: 'none',
    },
    state: () => 'state-of-the-client',
    clientInformation: () => kept.client,
    saveClientInformation: (client) => void (kept.client = client),
    tokens: () => kept.tokens,
    saveTokens: (tokens) => void (kept.tokens = tokens),
    redirectToAuthorization: (url) => void (kept.url = String(url)),
    saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
    codeVerifier: () => kept.verifier,
    discoveryState: () => kept.discovery,
    saveDiscoveryState: (discovery) => void (kept.discovery = discovery),
  };
}

const settings = (body) => fetch(`${keys.api_url}/v1/instance/oauth_application_settings`, {
  method: 'PATCH', body: JSON.stringify(body), headers: { Authorization: `Bearer ${keys.secret_key}`, 'Content-Type': 'application/json' },
});

for (const [name, auth] of Object.entries({ 'the first SDK': first, 'the second SDK': second })) {
  for (const jwt of [true, false]) {
    test(`${name} gets ${jwt ? 'JWTs' : 'opaque tokens'}`, async () => {
      assert.equal((await settings({ dynamic_oauth_client_registration: true, oauth_jwt_access_tokens: jwt })).status, 200);
      const user = await someone();
      const client = provider();
      assert.equal(await auth(client, { serverUrl: resource }), 'REDIRECT');
      const approved = await control('POST', '/oauth/authorize', { url: client.kept.url, user_id: user.id });
      const back = new URL(approved.redirect_to).searchParams;
      assert.equal(back.get('state'), 'state-of-the-client');
      assert.equal(await auth(client, { serverUrl: resource, authorizationCode: back.get('code') }), 'AUTHORIZED');
      const before = client.kept.tokens;
      assert.equal(await auth(client, { serverUrl: resource }), 'AUTHORIZED'); // refreshed
      assert.notEqual(client.kept.tokens.access_token, before.access_token);
      for (const { access_token: token } of [before, client.kept.tokens]) {
        const request = new Request(resource, { headers: { Authorization: `Bearer ${token}` } });
        const state = await clerk.authenticateRequest(request, { acceptsToken: 'oauth_token', audience: resource });
        assert.equal(state.isAuthenticated, true, `${state.reason} ${state.message}`);
        assert.deepEqual([state.toAuth().userId, state.toAuth().clientId], [user.id, client.kept.client.client_id]);
      }
    });
  }
}

test('a client hears that it was denied, and cannot register itself where that is off', async () => {
  const client = provider();
  await settings({ dynamic_oauth_client_registration: true });
  await first(client, { serverUrl: resource });
  const denied = await control('POST', '/oauth/authorize', { url: client.kept.url, user_id: (await someone()).id, deny: true });
  assert.equal(new URL(denied.redirect_to).searchParams.get('error'), 'access_denied');
  await settings({ dynamic_oauth_client_registration: false });
  await assert.rejects(first(provider(), { serverUrl: resource }), /dynamic client registration/);
});
