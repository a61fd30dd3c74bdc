// Finds the command clerksync for this machine.
import { accessSync, constants, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';

const windows = process.platform === 'win32';
const command = windows ? 'clerksync.exe' : 'clerksync';

/** The npm package with the command for this machine. */
export const platformPackage = `@clerksync/emulator-${process.platform}-${process.arch}`;

function executable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

// The first of: the option, the environment variable, the platform's package, PATH.
export function findBinary(option, environment = process.env) {
  for (const [name, path] of [['the option binary', option], ['CLERKSYNC_BINARY', environment.CLERKSYNC_BINARY]]) {
    if (path && !executable(path)) {
      throw new Error(`@clerksync/emulator: ${name} is ${path}, which cannot be run. Name the command clerksync itself, or leave it out.`);
    }
    if (path) return path;
  }
  try {
    const path = join(createRequire(import.meta.url).resolve(`${platformPackage}/package.json`), '..', 'bin', command);
    if (executable(path)) return path;
  } catch {
    // it is not installed
  }
  for (const folder of (environment.PATH ?? '').split(delimiter)) {
    const path = join(folder, command);
    if (folder && executable(path)) return path;
  }
  throw new Error(
    `@clerksync/emulator: there is no clerksync for ${process.platform}-${process.arch}. Do one of these:\n` +
      `  npm install --save-dev ${platformPackage}\n` +
      `  go install github.com/clerksync/clerksync/cmd/clerksync@latest (it must be in PATH)\n` +
      `  set CLERKSYNC_BINARY, or the option binary, to the path of the command`,
  );
}
