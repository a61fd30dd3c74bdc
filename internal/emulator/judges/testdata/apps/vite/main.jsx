import {
  ClerkProvider, CreateOrganization, OrganizationProfile, OrganizationSwitcher, Show, SignIn, SignUp, UserButton, UserProfile, useAuth,
  useReverification,
} from '@clerk/react';
import { dark } from '@clerk/ui/themes';
import { StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';

const theme = matchMedia('(prefers-color-scheme: dark)').matches ? dark : undefined;

// Home shows who is signed in, and what the back ends say about it.
function Home() {
  const { userId, orgId, orgRole } = useAuth();
  return (
    <>
      <Show when="signed-out">
        <p id="who">nobody</p>
        <a href="/sign-in">Sign in</a>
      </Show>
      <Show when="signed-in">
        <p id="who">{JSON.stringify({ userId, orgId, orgRole })}</p>
        <UserButton />
        <OrganizationSwitcher />
        <Secret />
      </Show>
    </>
  );
}

// Secret asks for what only a person gets who has just proved who they are.
function Secret() {
  const [text, setText] = useState('');
  const ask = useReverification(async () => {
    const response = await fetch('/api/express/secret');
    return response.json();
  });
  return (
    <p>
      <button id="ask" onClick={() => ask().then((answer) => setText(JSON.stringify(answer)), (error) => setText(String(error)))}>
        Secret
      </button>
      <span id="secret">{text}</span>
    </p>
  );
}

const pages = {
  '/': <Home />,
  '/sign-in': <SignIn signUpUrl="/sign-up" fallbackRedirectUrl="/" />,
  '/sign-up': <SignUp signInUrl="/sign-in" fallbackRedirectUrl="/" />,
  '/user': <UserProfile />,
  '/organization': <OrganizationProfile />,
  '/create-organization': <CreateOrganization />,
};

createRoot(document.getElementById('root')).render(
  <StrictMode>
    <ClerkProvider
      publishableKey={import.meta.env.VITE_CLERK_PUBLISHABLE_KEY}
      proxyUrl="/__clerk"
      signInUrl="/sign-in"
      signUpUrl="/sign-up"
      afterSignOutUrl="/"
      appearance={{ theme }}
      telemetry={false}
    >
      {pages[location.pathname] ?? <p>No such page.</p>}
    </ClerkProvider>
  </StrictMode>,
);
