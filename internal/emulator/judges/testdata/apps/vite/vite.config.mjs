import clerk from './clerk.mjs'; // as docs/emulator.md shows it

const proxy = {
  ...clerk.server.proxy,
  '/api/express': { target: process.env.EXPRESS_URL },
  '/api/fastify': { target: process.env.FASTIFY_URL },
  '/api/hono': { target: process.env.HONO_URL },
};

export default { oxc: { jsx: { runtime: 'automatic' } }, server: { proxy }, preview: { proxy } };
