// What the judges share: the official client, pointed at the emulator that the Go test started.
import assert from 'node:assert/strict';
import { createClerkClient } from '@clerk/backend';
import { isClerkAPIResponseError } from '@clerk/backend/errors';

// The line that `clerksync emulate --json` prints.
export const keys = JSON.parse(process.env.EMULATOR);

export const options = {
  secretKey: keys.secret_key,
  publishableKey: keys.publishable_key,
  apiUrl: keys.api_url,
  apiVersion: 'v1',
};

export const clerk = createClerkClient({ ...options, telemetry: { disabled: true } });

// control calls the control API.
export async function control(method, path, body) {
  const response = await fetch(`${keys.url}/_emulator${path}`, { method, body: body && JSON.stringify(body) });
  const answer = await response.json();
  assert.equal(response.status, 200, `${method} ${path}: ${JSON.stringify(answer)}`);
  return answer;
}

// token signs a user in and answers a session token.
export async function token(userId, more = {}) {
  return (await control('POST', '/tokens', { user_id: userId, ...more })).jwt;
}

let people = 0;

// someone is a new user whom no other judge knows.
export function someone(more = {}) {
  people++;
  return clerk.users.createUser({ emailAddress: [`someone${people}@example.com`], firstName: 'Some', lastName: `One${people}`, ...more });
}

// refused runs a call that Clerk must refuse, and answers the SDK's error.
export async function refused(call, status, code) {
  const error = await call.then(
    (value) => assert.fail(`not refused: ${JSON.stringify(value)}`),
    (e) => e,
  );
  assert.ok(isClerkAPIResponseError(error), `no error of the API: ${error}`);
  assert.equal(error.status, status, JSON.stringify(error.errors));
  assert.equal(error.errors[0].code, code);
  return error;
}

let ahead = 0; // of the emulator's clock, in milliseconds

// advance moves the emulator's clock.
export async function advance(duration) {
  const { clock } = await control('POST', '/clock', { advance: duration });
  ahead = Date.parse(clock) - Date.now();
}

// soon tells whether a time in milliseconds is of this moment by the emulator's clock.
export function soon(at) {
  return Number.isInteger(at) && Math.abs(Date.now() + ahead - at) < 60_000;
}
