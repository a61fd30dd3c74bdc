// The back ends, and the Vite app in front of them. It prints their addresses as one line of JSON.
import { serve } from '@hono/node-server';
import { clerkMiddleware as express, getAuth as expressAuth } from '@clerk/express';
import { clerkPlugin, getAuth as fastifyAuth } from '@clerk/fastify';
import { clerkMiddleware as hono, getAuth as honoAuth } from '@clerk/hono';
import { reverificationErrorResponse } from '@clerk/backend/internal';
import { once } from 'node:events';
import Express from 'express';
import Fastify from 'fastify';
import { Hono } from 'hono';
import { build, preview } from 'vite';

const shown = ({ userId, sessionId, orgId, orgRole }) => ({ userId, sessionId, orgId, orgRole });
const address = (server) => `http://localhost:${server.address().port}`;

async function expressServer() {
  const app = Express();
  app.use(express());
  app.get('/api/express/me', (request, response) => response.json(shown(expressAuth(request))));
  app.get('/api/express/secret', async (request, response) => {
    const auth = expressAuth(request);
    if (auth.has({ reverification: 'strict' })) return response.json('the secret');
    const refusal = reverificationErrorResponse('strict');
    response.status(refusal.status).json(await refusal.json());
  });
  const server = app.listen(0, 'localhost');
  await once(server, 'listening');
  return address(server);
}

async function fastifyServer() {
  const app = Fastify();
  await app.register(clerkPlugin);
  app.get('/api/fastify/me', async (request) => shown(fastifyAuth(request)));
  await app.listen({ port: 0, host: 'localhost' });
  return address(app.server);
}

async function honoServer() {
  const app = new Hono();
  app.use('*', hono());
  app.get('/api/hono/me', (context) => context.json(shown(honoAuth(context))));
  const server = serve({ fetch: app.fetch, port: 0, hostname: 'localhost' });
  await once(server, 'listening');
  return address(server);
}

process.stdin.on('end', () => process.exit()).resume(); // the test is over
process.env.EXPRESS_URL = await expressServer();
process.env.FASTIFY_URL = await fastifyServer();
process.env.HONO_URL = await honoServer();
const common = { root: new URL('vite', import.meta.url).pathname, logLevel: 'warn', build: { outDir: process.env.VITE_OUT, emptyOutDir: true } };
await build(common);
const app = await preview({ ...common, preview: { port: Number(process.env.VITE_PORT ?? 0), host: 'localhost' } });
console.log(JSON.stringify({ vite: address(app.httpServer), express: process.env.EXPRESS_URL, fastify: process.env.FASTIFY_URL, hono: process.env.HONO_URL }));
