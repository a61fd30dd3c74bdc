import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { createApp } from './app.js';

const env = process.env;
const db = new pg.Pool({ connectionString: env.DATABASE_URL });
await db.query(await readFile(new URL('schema.sql', import.meta.url), 'utf8'));

const app = createApp({
  db,
  host: env.APP_HOST,
  identitySecret: env.CLERKSYNC_IDENTITY_SECRET,
  operator: { url: env.OPERATOR_URL, token: env.OPERATOR_TOKEN },
  webhookSecret: env.WEBHOOK_SECRET,
});
app.listen(env.PORT ?? 9000, '127.0.0.1'); // only the proxy reaches it
