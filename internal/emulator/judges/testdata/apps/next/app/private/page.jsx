import { OrganizationSwitcher, UserButton } from '@clerk/nextjs';
import { auth, currentUser } from '@clerk/nextjs/server';

// What the server knows before any script of the page has run.
export default async function Page() {
  const { userId, orgId, orgRole } = await auth.protect();
  const user = await currentUser();
  return (
    <main>
      <p id="server">{JSON.stringify({ userId, orgId, orgRole, name: user?.firstName })}</p>
      <UserButton />
      <OrganizationSwitcher />
    </main>
  );
}
