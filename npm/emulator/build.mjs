// Makes the packages of a release: one for each platform with its command, and the one that picks them.
//
//   node build.mjs VERSION BINARIES OUT
//
// BINARIES has folders such as linux_amd64, each with clerksync or clerksync.exe, as
//   GOOS=linux GOARCH=amd64 CGO_ENABLED=0 go build -o BINARIES/linux_amd64/ ./cmd/clerksync
// makes them. OUT gets a folder for each package; npm publish publishes one. Publish the platforms first.
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const [version, binaries, out] = process.argv.slice(2);
const platforms = { linux: 'linux', darwin: 'darwin', windows: 'win32' };
const machines = { amd64: 'x64', arm64: 'arm64' };

if (!out || !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)) {
  console.error('usage: node build.mjs VERSION BINARIES OUT, such as node build.mjs 1.2.3 dist/binaries dist/npm');
  process.exit(2);
}

const base = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8'));
const write = (folder, content) => {
  writeFileSync(join(folder, 'package.json'), JSON.stringify(content, null, 2) + '\n');
  cpSync(join(here, '..', '..', 'LICENSE'), join(folder, 'LICENSE'));
};
rmSync(out, { recursive: true, force: true });

const optional = {};
for (const target of readdirSync(binaries).sort()) {
  const [system, machine] = target.split('_');
  const [os, cpu] = [platforms[system], machines[machine]];
  const command = os === 'win32' ? 'clerksync.exe' : 'clerksync';
  if (!os || !cpu || !existsSync(join(binaries, target, command))) {
    console.error(`${join(binaries, target)} is not a folder such as linux_amd64 with ${command}`);
    process.exit(1);
  }
  const name = `${base.name}-${os}-${cpu}`;
  const folder = join(out, `emulator-${os}-${cpu}`);
  mkdirSync(join(folder, 'bin'), { recursive: true });
  cpSync(join(binaries, target, command), join(folder, 'bin', command));
  chmodSync(join(folder, 'bin', command), 0o755);
  write(folder, {
    name,
    version,
    description: `The command clerksync for ${os} on ${cpu}, for ${base.name}`,
    license: base.license,
    repository: base.repository,
    os: [os],
    cpu: [cpu],
    files: ['bin'],
  });
  writeFileSync(join(folder, 'README.md'), `# ${name}\n\nThe command of [clerksync](https://github.com/clerksync/clerksync) for \`${base.name}\`.\n`);
  optional[name] = version;
}
if (Object.keys(optional).length === 0) {
  console.error(`${binaries} has no binaries`);
  process.exit(1);
}

const folder = join(out, 'emulator');
mkdirSync(folder);
for (const file of [...base.files, 'README.md']) cpSync(join(here, file), join(folder, file));
write(folder, { ...base, version, optionalDependencies: optional });
