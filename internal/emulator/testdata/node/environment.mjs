// Each of Clerk's SDKs for servers reads its settings from the environment, and must then accept the token in TOKEN by
// CLERK_JWT_KEY alone: nothing listens at CLERK_API_URL. The last line has the variables as this process has them.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createClerkClient, verifyToken } from '@clerk/backend';
import * as forExpress from '@clerk/express';
import * as forFastify from '@clerk/fastify';
import express from 'express';
import fastify from 'fastify';

const { TOKEN: token, USER_ID: user, CLERK_JWT_KEY: jwtKey, CLERK_SECRET_KEY: secretKey, CLERK_PUBLISHABLE_KEY: publishableKey } = process.env;
const headers = { authorization: `Bearer ${token}` };

assert.equal((await verifyToken(token, { jwtKey })).sub, user, '@clerk/backend verifies the token');
const clerk = createClerkClient({ secretKey, publishableKey, jwtKey });
const state = await clerk.authenticateRequest(new Request('http://localhost:3000/', { headers }));
assert.equal(state.toAuth()?.userId, user, `@clerk/backend authenticates the request: ${state.reason} ${state.message}`);

const app = express();
app.use(forExpress.clerkMiddleware());
app.get('/', (request, response) => response.json(forExpress.getAuth(request).userId));
const server = app.listen(0, '127.0.0.1');
await once(server, 'listening');
const answer = await fetch(`http://127.0.0.1:${server.address().port}/`, { headers });
assert.equal(await answer.json(), user, '@clerk/express');
server.close();

const fast = fastify();
await fast.register(forFastify.clerkPlugin);
fast.get('/', async request => ({ user: forFastify.getAuth(request).userId }));
assert.equal((await fast.inject({ url: '/', headers })).json().user, user, '@clerk/fastify');
await fast.close();

console.log(JSON.stringify(Object.fromEntries(process.env.NAMES.split(' ').map(name => [name, process.env[name]]))));
