import { Show, SignInButton, UserButton } from '@clerk/nextjs';
import { auth } from '@clerk/nextjs/server';

export default async function Page() {
  const { userId } = await auth();
  return (
    <main>
      <p id="server">{userId ?? 'nobody'}</p>
      <Show when="signed-in">
        <UserButton />
      </Show>
      <Show when="signed-out">
        <SignInButton />
      </Show>
    </main>
  );
}
