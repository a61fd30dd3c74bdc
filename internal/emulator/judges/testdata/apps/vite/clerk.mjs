// vite.config.js
export default {
  server: { proxy: { '/__clerk': { target: process.env.CLERK_API_URL, xfwd: true } } },
};
