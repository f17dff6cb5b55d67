// Runs test files, each beside an emulator of its own. The file that certifies
// the emulator must be there before the tests are: Node reads
// NODE_EXTRA_CA_CERTS when it starts.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const readyWithin = 20_000; // ms

// runFiles runs [{file, insecure}] of a folder until one fails, and returns the
// exit code. The test is told of the emulator (EMULATOR: what it prints with
// --json), where the bot must listen (BOT), and where the bot's certificates
// are (CERTIFICATES).
export async function runFiles(folder, files) {
  const dir = mkdtempSync(join(tmpdir(), 'mixminus-sdk-'));
  try {
    const emulator = join(dir, 'mixminus');
    run('go', ['build', '-o', emulator, './cmd/mixminus'], { cwd: join(import.meta.dirname, '../..') });
    certify(dir, 'bot', ['-addext', 'subjectAltName=IP:127.0.0.1']);
    certify(dir, 'content', []);
    for (const f of files) {
      const failed = await runFile(folder, dir, emulator, f);
      if (failed !== 0) {
        return failed;
      }
    }
    return 0;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

// run runs a tool, which must succeed.
function run(tool, args, options = {}) {
  const { status, stderr, error } = spawnSync(tool, args, { encoding: 'utf8', ...options });
  if (status !== 0) {
    throw error ?? new Error(`${tool}: exit status ${status}: ${stderr}`);
  }
}

// certify makes a key and the certificate that it signs for itself.
function certify(dir, name, more) {
  run('openssl', [
    'req', '-x509', '-newkey', 'rsa:2048', '-noenc', '-days', '2', '-subj', `/CN=${name}.example`, ...more,
    '-keyout', join(dir, `${name}.key`), '-out', join(dir, `${name}.pem`),
  ]);
}

// runFile runs a file beside its emulator, and returns the exit code.
async function runFile(folder, dir, binary, { file, insecure = false }) {
  const port = await freePort();
  const bot = `${insecure ? 'http' : 'https'}://127.0.0.1:${port}`;
  const ca = join(dir, `${file}.ca.pem`);
  const args = [
    'emulate', '--json', '--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--events', `${bot}/events`,
    '--graph-events', `${bot}/callbacks`, '--ca-file', ca, ...(insecure ? ['--insecure'] : []),
  ];
  const env = { ...process.env, SSL_CERT_FILE: join(dir, 'bot.pem') }; // the emulator trusts the bot
  const emulator = spawn(binary, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => emulator.once('exit', resolve).once('error', resolve));
  try {
    const ready = await firstLine(emulator);
    const tests = spawn(process.execPath, ['--test', '--test-reporter=spec', file], {
      cwd: folder,
      stdio: 'inherit',
      env: { ...process.env, NODE_EXTRA_CA_CERTS: ca, EMULATOR: ready, BOT: bot, CERTIFICATES: dir },
    });
    return await new Promise((resolve, reject) => {
      tests.once('error', reject);
      tests.once('exit', (status) => resolve(status ?? 1));
    });
  } finally {
    emulator.kill('SIGTERM');
    await ended;
  }
}

// firstLine is what the emulator prints when it is ready.
function firstLine(emulator) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`the emulator is not ready after ${readyWithin} ms`)), readyWithin);
    const settle = (fn, value) => {
      clearTimeout(late);
      fn(value);
    };
    createInterface({ input: emulator.stdout }).once('line', (line) => settle(resolve, line));
    emulator.once('error', (error) => settle(reject, error));
    emulator.once('exit', (status) => settle(reject, new Error(`the emulator ended with ${status}`)));
  });
}

// freePort returns a port for the bot, whose address the emulator is told
// before there is a bot. It is none that the system gives to others who ask
// for any port.
async function freePort() {
  for (let tries = 0; tries < 100; tries++) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    const free = await new Promise((resolve) => {
      const server = createServer();
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (free) {
      return port;
    }
  }
  throw new Error('no port is free');
}
