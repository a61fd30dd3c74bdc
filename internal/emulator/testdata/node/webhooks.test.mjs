import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, test } from 'node:test';
import { verifyWebhook } from '@clerk/backend/webhooks';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { advance, clerk, control, keys, someone, soon } from './emulator.mjs';

// A receiver as a backend is one. It listens on the socket that the Go test opened, whose address the
// emulator sends to.
const received = [];
let waiting = () => {};
let answer = 204;
const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  received.push({ method: request.method, headers: request.headers, body: Buffer.concat(chunks) });
  response.writeHead(answer).end();
  waiting();
}).listen({ fd: 3 });
after(() => {
  server.close();
  server.closeAllConnections();
});

// judge is a test that does not wait forever.
function judge(name, body) {
  test(name, { timeout: 20_000 }, body);
}

// delivery waits for one that the condition takes.
async function delivery(takes) {
  for (;;) {
    const found = received.find((d) => takes(JSON.parse(d.body), d));
    if (found) {
      return found;
    }
    await new Promise((resolve) => { waiting = resolve; });
  }
}

const about = (type, id) => (event) => event.type === type && event.data.id === id;

// request is a delivery as a framework hands it over.
function request(d, body = d.body) {
  return new Request('https://api.example.com/webhooks', { method: 'POST', headers: d.headers, body });
}

const secret = { signingSecret: keys.webhook_secret };

judge('verifyWebhook accepts a delivery', async () => {
  const user = await someone({ publicMetadata: { plan: 'pro' } });
  const d = await delivery(about('user.created', user.id));
  assert.equal(d.method, 'POST');
  assert.equal(d.headers['content-type'], 'application/json');
  assert.match(d.headers['svix-id'], /^msg_\w+$/);
  const event = await verifyWebhook(request(d), secret);
  assert.deepEqual([event.type, event.object], ['user.created', 'event']);
  assert.deepEqual(event.data, user.raw);
  assert.equal(event.data.email_addresses[0].email_address, user.primaryEmailAddress.emailAddress);
  assert.ok(event.event_attributes.http_request.client_ip);
  assert.ok(soon(event.timestamp));
  assert.equal(event.instance_id, keys.instance_id);
});

judge('verifyWebhook accepts each kind of event', async () => {
  const user = await someone();
  const organization = await clerk.organizations.createOrganization({ name: 'Told', createdBy: user.id });
  const session = await clerk.sessions.createSession({ userId: user.id });
  await clerk.sessions.revokeSession(session.id);
  await clerk.organizations.updateOrganization(organization.id, { name: 'Retold' });
  await clerk.users.updateUser(user.id, { firstName: 'Changed' });
  await clerk.organizations.deleteOrganization(organization.id);
  await clerk.users.deleteUser(user.id);
  const membership = (event) => event.data.organization?.id === organization.id;
  for (const [type, takes] of [
    ['session.created', about('session.created', session.id)],
    ['session.revoked', about('session.revoked', session.id)],
    ['organization.created', about('organization.created', organization.id)],
    ['organizationMembership.created', (event) => event.type === 'organizationMembership.created' && membership(event)],
    ['organization.updated', about('organization.updated', organization.id)],
    ['organizationMembership.deleted', (event) => event.type === 'organizationMembership.deleted' && membership(event)],
    ['organization.deleted', about('organization.deleted', organization.id)],
    ['user.updated', (event) => event.type === 'user.updated' && event.data.id === user.id && event.data.first_name === 'Changed'],
    ['user.deleted', about('user.deleted', user.id)],
  ]) {
    const event = await verifyWebhook(request(await delivery(takes)), secret);
    assert.equal(event.type, type);
  }
});

judge('verifyWebhook refuses a body altered by a byte', async () => {
  const user = await someone();
  const d = await delivery(about('user.created', user.id));
  for (const at of [0, d.body.length >> 1, d.body.length - 1]) {
    const body = Buffer.from(d.body);
    body[at] ^= 1;
    await assert.rejects(verifyWebhook(request(d, body), secret), /Unable to verify incoming webhook/);
  }
});

judge('verifyWebhook refuses another id, another time, another secret and no signature', async () => {
  const user = await someone();
  const d = await delivery(about('user.created', user.id));
  const refuses = async (headers, options = secret) => {
    await assert.rejects(verifyWebhook(request({ ...d, headers: { ...d.headers, ...headers } }), options), /webhook/);
  };
  await refuses({ 'svix-id': 'msg_other' });
  await refuses({ 'svix-timestamp': String(Number(d.headers['svix-timestamp']) + 1) });
  await refuses({ 'svix-signature': '' });
  await refuses({}, { signingSecret: `whsec_${Buffer.from('another secret of 24 byte').toString('base64')}` });
});

judge('the svix and standardwebhooks libraries accept a delivery and refuse a forged one', async () => {
  const user = await someone();
  const d = await delivery(about('user.created', user.id));
  const standard = Object.fromEntries(['id', 'timestamp', 'signature'].map((name) => [`webhook-${name}`, d.headers[`svix-${name}`]]));
  const forged = d.body.toString().replace(user.id, 'user_forged');
  for (const [library, headers] of [[SvixWebhook, d.headers], [StandardWebhook, standard]]) {
    const webhook = new library(keys.webhook_secret);
    assert.equal(webhook.verify(d.body.toString(), headers).data.id, user.id);
    assert.throws(() => webhook.verify(forged, headers), /No matching signature found/);
  }
});

judge('a refused delivery comes again under its id, signed afresh', async () => {
  answer = 500;
  const user = await someone();
  const takes = about('user.created', user.id);
  await delivery(takes);
  answer = 204;
  const all = () => received.filter((d) => takes(JSON.parse(d.body)));
  for (let tries = 0; all().length < 2 && tries < 1000; tries++) {
    await advance('6s'); // the second attempt is due after five seconds
  }
  assert.equal(all()[0].headers['svix-id'], all()[1].headers['svix-id']);
  for (const d of all()) {
    assert.equal((await verifyWebhook(request(d), secret)).data.id, user.id);
  }
});

judge('a replayed delivery has its old id', async () => {
  const user = await someone();
  const first = await delivery(about('user.created', user.id));
  await control('POST', `/deliveries/${first.headers['svix-id']}/replay`);
  const second = await delivery((event, d) => d !== first && about('user.created', user.id)(event));
  assert.equal(second.headers['svix-id'], first.headers['svix-id']);
  assert.equal((await verifyWebhook(request(second), secret)).data.id, user.id);
});

judge('a forged copy, a fault, is refused and the true one accepted', async (t) => {
  t.after(() => control('DELETE', '/faults'));
  await control('PUT', '/faults', { wrong_signature: 1 });
  const user = await someone();
  const takes = about('user.created', user.id);
  const first = await delivery(takes);
  const second = await delivery((event, d) => d !== first && takes(event));
  const verdicts = await Promise.allSettled([first, second].map((d) => verifyWebhook(request(d), secret)));
  assert.deepEqual(verdicts.map((verdict) => verdict.status).sort(), ['fulfilled', 'rejected']);
});

judge('after a rotation of the secret both verify for a day, then the new one alone', async () => {
  const rotated = { signingSecret: (await control('POST', '/webhooks/rotate')).webhook_secret };
  assert.notEqual(rotated.signingSecret, secret.signingSecret);
  const user = await someone();
  const both = await delivery(about('user.created', user.id));
  assert.equal(both.headers['svix-signature'].split(' ').length, 2);
  for (const options of [secret, rotated]) {
    assert.equal((await verifyWebhook(request(both), options)).data.id, user.id);
  }
  await advance('25h');
  const later = await someone();
  const one = await delivery(about('user.created', later.id));
  assert.equal((await verifyWebhook(request(one), rotated)).data.id, later.id);
  await assert.rejects(verifyWebhook(request(one), secret), /Unable to verify incoming webhook/);
});
