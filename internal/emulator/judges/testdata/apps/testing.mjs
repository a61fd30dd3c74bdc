// Clerk's helpers for Playwright, in the browser of the judges. It prints what it found as a line of JSON.
import { clerk, clerkSetup, setupClerkTestingToken } from '@clerk/testing/playwright';
import { chromium } from 'playwright-core';

const { ENDPOINT, APP, PASSWORD, TICKET } = process.env;
await clerkSetup({ dotenv: false });
const browser = await chromium.connectOverCDP(ENDPOINT);
const context = await browser.newContext();
const page = await context.newPage();
await setupClerkTestingToken({ page });
await page.goto(APP);
await clerk.loaded({ page });

// by signs in by one strategy, says who is then signed in, and signs out.
async function by(signIn) {
  await clerk.signIn({ page, ...signIn });
  const id = await page.evaluate(() => window.Clerk.user?.id);
  await clerk.signOut({ page });
  await page.waitForFunction(() => window.Clerk?.loaded && window.Clerk.user === null);
  return id;
}

const identifier = 'helper+clerk_test@example.com';
const found = {
  token: process.env.CLERK_TESTING_TOKEN !== undefined,
  password: await by({ signInParams: { strategy: 'password', identifier, password: PASSWORD } }),
  email_code: await by({ signInParams: { strategy: 'email_code', identifier } }),
  phone_code: await by({ signInParams: { strategy: 'phone_code', identifier: '+12015550123' } }),
  ticket: await by({ signInParams: { strategy: 'ticket', ticket: TICKET } }),
  address: await by({ emailAddress: identifier }).catch((error) => `fails: ${error.message}`),
};
console.log(JSON.stringify(found));
await context.close();
process.exit(); // the browser belongs to the test
