const proxy = {
  '/__clerk': { target: process.env.CLERK_API_URL, rewrite: (path) => path.slice('/__clerk'.length), xfwd: true },
  '/api/express': { target: process.env.EXPRESS_URL },
  '/api/fastify': { target: process.env.FASTIFY_URL },
  '/api/hono': { target: process.env.HONO_URL },
};

export default { oxc: { jsx: { runtime: 'automatic' } }, server: { proxy }, preview: { proxy } };
