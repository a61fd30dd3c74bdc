import { ClerkProvider } from '@clerk/nextjs';

export const metadata = { title: 'Next.js' };

export default function Layout({ children }) {
  return (
    <ClerkProvider>
      <html lang="en">
        <head>
          <link rel="icon" href="data:," />
          <meta name="color-scheme" content="light dark" />
        </head>
        <body>{children}</body>
      </html>
    </ClerkProvider>
  );
}
