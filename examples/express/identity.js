// Who calls: what clerksync says about a request that the proxy let pass. Copy this file.
//
// The proxy drops what clients send under these names. X-Clerk-Identity is signed as well, for one host and one route, so
// that a request which comes around the proxy is nobody's. docs/forward-auth.md has the contract.
import { jwtVerify } from 'jose';

// Verifies X-Clerk-Identity for a request to a path, percent-decoded once and without the query. Returns the claims: sub,
// sid, org, org_role, role, act.
export async function verifyIdentity(token, secret, host, path) {
  const { payload } = await jwtVerify(token, new TextEncoder().encode(secret), {
    algorithms: ['HS256'],
    typ: 'clerksync-identity+jwt',
    issuer: 'clerksync',
    requiredClaims: ['exp', 'iat', 'aud', 'sub'],
    clockTolerance: 5, // seconds
  });
  const place = typeof payload.aud === 'string' && /^clerksync-upstream:\/\/([^/]+)(\/.*)$/s.exec(payload.aud);
  if (!payload.sub || place?.[1] !== host || !covers(place[2], path)) throw new Error('made for another host or route');
  return payload;
}

// Reports whether a route of the policy is that of a path: * is one segment, /** at the end any number of them.
export function covers(route, path) {
  const pattern = route
    .replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    .replace(/\/\\\*\\\*$/, '(/.*)?')
    .replace(/\\\*/g, '[^/]+');
  return new RegExp(`^${pattern}/?$`, 's').test(path);
}

// A middleware that sets req.caller. Everything that is missing, doubled or forged is 401.
export function authenticate({ secret, host }) {
  if (!(secret?.length >= 32) || !host) throw new Error('an identity secret of at least 32 characters and a host are needed');
  return async (req, res, next) => {
    try {
      const path = decodeURIComponent(req.originalUrl.split('?')[0]);
      const caller = await verifyIdentity(req.get('X-Clerk-Identity'), secret, host, path);
      if (caller.sub !== req.get('X-Clerk-User-Id')) throw new Error('the headers name another user');
      req.caller = caller;
    } catch {
      res.status(401).set('WWW-Authenticate', 'Bearer').json({ error: 'Sign in' });
      return;
    }
    next();
  };
}

const roles = ['solo', 'growth', 'enterprise', 'admin']; // CLERKSYNC_ROLES, the lowest first

// A middleware that requires a role of the ladder, or a higher one.
export function atLeast(role) {
  if (!roles.includes(role)) throw new Error(`there is no role ${role}`);
  return (req, res, next) => {
    if (roles.indexOf(req.caller.role) >= roles.indexOf(role)) next();
    else res.status(403).json({ error: `This needs the role ${role}` });
  };
}

// A middleware that requires an active organization. clerksync has checked that the user is a member of it.
export function member(req, res, next) {
  if (req.caller.org) next();
  else res.status(403).json({ error: 'Choose an organization' });
}
