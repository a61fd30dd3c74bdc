/** Options of start(). What is not set is as the command `clerksync emulate` has it. */
export interface Options {
  /** Users, organizations and settings to begin with: the path of a YAML or JSON file, or its content. */
  fixtures?: string | URL | Fixtures;
  /** The port on 127.0.0.1. The default is a free one. */
  port?: number;
  /** Makes keys and ids the same in each run. */
  seed?: number | bigint;
  /** How many users exist from the start. */
  users?: number;
  /** How many organizations exist from the start. */
  organizations?: number;
  /** How many memberships exist from the start. */
  memberships?: number;
  /** The secret key, sk_test_…. */
  secretKey?: string;
  /** Where webhooks are sent. */
  webhookUrl?: string;
  /** The secret that signs webhooks, whsec_…. */
  webhookSecret?: string;
  /** A file that keeps everything from one run to the next. */
  state?: string;
  /** The default is off, or what the fixtures say. */
  rateLimit?: 'production' | 'development' | 'off';
  /** The folder with Clerk's packages for browsers. It is found upwards from here by default. */
  nodeModules?: string;
  /** Where browsers find the Frontend API. The default is /__clerk, which the app forwards. */
  proxyUrl?: string;
  /** The path of the command clerksync. */
  binary?: string;
  /** Further flags of the command. */
  args?: string[];
  /** Hears what the command prints: refused requests, webhooks that do not arrive. */
  onLog?: (text: string) => void;
}

export interface Keys {
  apiUrl: string;
  issuer: string;
  jwksUrl: string;
  secretKey: string;
  publishableKey: string;
  webhookSecret: string;
  instanceId: string;
  /** The public key that verifies tokens, for jwtKey of Clerk's SDKs. */
  jwtKey: string;
}

/** An object as the Backend API has it. */
export interface ApiObject {
  id: string;
  object: string;
  [field: string]: unknown;
}

/** Attributes of a new user, as in Clerk's SDK. */
export interface NewUser {
  emailAddress?: string | string[];
  phoneNumber?: string | string[];
  username?: string;
  password?: string;
  firstName?: string;
  lastName?: string;
  externalId?: string;
  publicMetadata?: Record<string, unknown>;
  privateMetadata?: Record<string, unknown>;
  unsafeMetadata?: Record<string, unknown>;
  [attribute: string]: unknown;
}

export interface TokenOptions {
  userId: string;
  sessionId?: string;
  organizationId?: string;
  /** The name of a JWT template. */
  template?: string;
  version?: 1 | 2;
  /** Negative: already expired. */
  expiresInSeconds?: number;
  azp?: string;
  actor?: { sub: string; [claim: string]: unknown };
  pending?: boolean;
  /** Minutes since the two factors were checked. */
  fva?: [number, number];
}

export interface StateOptions {
  userId: string;
  organizationId?: string;
  /** The address of the app in the browser, such as http://localhost:3000. */
  url: string;
}

/** What Playwright takes as storageState. */
export interface StorageState {
  cookies: Array<{
    name: string;
    value: string;
    domain: string;
    path: string;
    expires: number;
    httpOnly: boolean;
    secure: boolean;
    sameSite: 'Strict' | 'Lax' | 'None';
  }>;
  origins: Array<{ origin: string; localStorage: Array<{ name: string; value: string }> }>;
}

/** An e-mail or a text message that Clerk would have sent. */
export interface Message {
  id: string;
  kind: 'email' | 'sms';
  slug: string;
  to: string;
  user_id?: string;
  subject: string;
  body: string;
  code?: string;
  link?: string;
  at: string;
}

/** An error of the emulator's API, in Clerk's form. */
export class EmulatorError extends Error {
  readonly status: number;
  readonly errors: Array<{ code: string; message: string; long_message: string; meta?: Record<string, unknown> }>;
}

/** A running emulator. */
export class Emulator implements AsyncDisposable {
  private constructor();
  /** Such as http://127.0.0.1:4010. */
  readonly url: string;
  readonly keys: Keys;
  /** What Clerk's SDKs and web frameworks read from the environment. */
  readonly env: Record<string, string>;
  readonly users: {
    create(attributes: NewUser): Promise<ApiObject>;
    /** Makes a session. */
    signIn(user: string | { id: string }, options?: { organizationId?: string; pending?: boolean }): Promise<ApiObject>;
    /** Ends a session, or all. */
    signOut(user: string | { id: string }, options?: { sessionId?: string; remove?: boolean }): Promise<ApiObject[]>;
  };
  /** Makes a request to the Backend API (/v1/…) or to the control API (/_emulator/…). */
  call<T = any>(method: string, path: string, body?: unknown): Promise<T>;
  /**
   * Returns to the start: to the fixtures, without sessions, messages and faults. With events, all is changed back by
   * ordinary changes, so that receivers of webhooks can follow.
   */
  reset(options?: { events?: boolean }): Promise<void>;
  /** Returns a session token, of a new session if none is named. */
  token(options: TokenOptions): Promise<string>;
  /** Returns a storage state of Playwright in which a user is signed in. */
  browserState(options: StateOptions): Promise<StorageState>;
  /** Returns e-mails and text messages that Clerk would have sent, newest first. */
  inbox(options?: { to?: string }): Promise<Message[]>;
  /** Moves the clock, such as by '28h'. */
  advance(duration: string): Promise<void>;
  /** Replaces all faults. An empty object ends them. */
  faults(faults: Record<string, unknown>): Promise<void>;
  /** Ends the emulator. A second call waits for the same end. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts an emulator. It ends with stop(), or with this process. */
export function start(options?: Options): Promise<Emulator>;

/** Returns the path of the command clerksync: the option, CLERKSYNC_BINARY, the platform's package, PATH. */
export function findBinary(option?: string, environment?: Record<string, string | undefined>): string;

/** The content of a fixtures file. fixtures.schema.json describes each field. */
export interface Fixtures {
  settings?: Record<string, unknown>;
  rate_limit?: 'production' | 'development' | 'off';
  faults?: Record<string, unknown>;
  permissions?: Array<Record<string, unknown>>;
  roles?: Array<Record<string, unknown>>;
  users?: Array<Record<string, unknown>>;
  organizations?: Array<Record<string, unknown>>;
  invitations?: Array<string | Record<string, unknown>>;
  jwt_templates?: Array<Record<string, unknown>>;
  machines?: Array<Record<string, unknown>>;
  api_keys?: Array<Record<string, unknown>>;
  oauth_application_settings?: Record<string, unknown>;
  oauth_applications?: Array<Record<string, unknown>>;
}
