// Deals of organizations.
import { STATUS_CODES } from 'node:http';
import express from 'express';
import { Webhook } from 'standardwebhooks';
import { atLeast, authenticate, member } from './identity.js';

// db: a pool of pg. host: the host that clients use, such as app.example.com. identitySecret: CLERKSYNC_IDENTITY_SECRET.
// operator: url and token of clerksync's listener for operators. webhookSecret: of clerksync's endpoint for this application.
export function createApp({ db, host, identitySecret, operator, webhookSecret }) {
  const app = express();
  app.disable('x-powered-by');
  app.enable('case sensitive routing'); // as clerksync's policy reads paths

  if (webhookSecret) app.post('/hooks/clerksync', ...receive(db, webhookSecret)); // signed, and asks for no user

  app.use(authenticate({ secret: identitySecret, host })); // all routes from here on
  app.use(express.json({ limit: '64kb' }));

  app.get('/api/me', async (req, res) => {
    const { rows } = await db.query('SELECT id, email FROM clerk_users_typed WHERE clerk_user_id = $1', [req.caller.sub]);
    res.json({ ...rows[0], role: req.caller.role, organization_id: req.caller.org });
  });

  const dealsOf = async (organization) => {
    const { rows } = await db.query(
      `SELECT d.id, d.title, d.value_usd, u.email AS owner
       FROM deals d LEFT JOIN clerk_users_typed u ON u.id = d.owner_id -- the owner may have left
       WHERE d.organization_id = $1 ORDER BY d.id`,
      [organization],
    );
    return rows;
  };

  app.get('/api/deals', member, async (req, res) => {
    res.json(await dealsOf(req.caller.org));
  });

  app.post('/api/deals', member, atLeast('growth'), async (req, res) => {
    const { title, value_usd } = req.body ?? {};
    const valid = typeof title === 'string' && title.length > 0 && title.length <= 200 && !title.includes('\0');
    if (!valid || !Number.isInteger(value_usd) || value_usd < 0 || value_usd > 2e9) {
      res.status(422).json({ error: 'A deal has a title and a value_usd' });
      return;
    }
    const { rows } = await db.query(
      `INSERT INTO deals (organization_id, owner_id, title, value_usd)
       SELECT $1, id, $2, $3 FROM clerk_users_live WHERE clerk_user_id = $4 RETURNING id`,
      [req.caller.org, title, value_usd, req.caller.sub],
    );
    res.status(201).json(rows[0]);
  });

  // policy.yaml asks for the feature; an identity for another route does not open this one.
  app.get('/api/export', member, async (req, res) => {
    const deals = await dealsOf(req.caller.org);
    res.type('text').send(deals.map((d) => `${d.id}\t${d.title}\t${d.value_usd}\n`).join(''));
  });

  const admin = [atLeast('admin'), notImpersonated];

  app.get('/api/admin/users', admin, async (_req, res) => {
    const { rows } = await db.query(
      `SELECT u.clerk_user_id, u.email, u.role, u.is_active, count(d.id)::integer AS deals
       FROM clerk_users_typed u LEFT JOIN deals d ON d.owner_id = u.id
       GROUP BY u.clerk_user_id, u.email, u.role, u.is_active ORDER BY u.clerk_user_id LIMIT 200`,
    );
    res.json(rows);
  });

  app.post('/api/admin/users/:id/revoke-sessions', admin, async (req, res) => {
    const answer = await fetch(`${operator.url}/api/users/${encodeURIComponent(req.params.id)}/revoke-sessions`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${operator.token}` },
    });
    const body = await answer.json();
    if (answer.ok) res.json({ revoked: body.count });
    else res.status(502).json({ error: `Sessions were not revoked: ${body.code}` });
  });

  app.use((error, _req, res, _next) => {
    const status = error.status >= 400 && error.status < 500 ? error.status : 500;
    if (status === 500) console.error(error);
    res.status(status).json({ error: STATUS_CODES[status] }); // Express would show the stack
  });
  return app;
}

function notImpersonated(req, res, next) {
  if (!req.caller.act) next();
  else res.status(403).json({ error: 'Not while you act as someone else' });
}

// Receives the webhooks that clerksync sends. They may come twice; what is done here may be done twice.
function receive(db, secret) {
  const verifier = new Webhook(secret);
  return [
    express.raw({ type: () => true, limit: '64kb' }),
    async (req, res) => {
      let message;
      try {
        message = verifier.verify(req.body, req.headers); // before parsing; it throws
      } catch {
        res.sendStatus(400);
        return;
      }
      if (message.type === 'user.erased') {
        await db.query(
          `UPDATE deals SET title = 'erased' WHERE owner_id IN (SELECT id FROM clerk_users WHERE clerk_user_id = $1)`,
          [message.data.clerk_user_id],
        );
      }
      res.sendStatus(204);
    },
  ];
}
