import { clerkMiddleware } from '@clerk/nextjs/server';

export default clerkMiddleware({ frontendApiProxy: { enabled: true } });

export const config = { matcher: ['/((?!_next).*)', '/__clerk/:path*'] };
