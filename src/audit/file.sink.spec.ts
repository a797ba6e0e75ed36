import { jest } from '@jest/globals';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newKey } from '../config/random-keys.js';
import { Secret } from '../config/secret.js';
import { FileSink } from './file.sink.js';
import { chained, membersOf } from './chain.js';
import { AuditKeys } from './keys.js';
import { Trail } from './trail.js';
import { Verifier } from './verifier.js';

const keys = new AuditKeys(new Secret(newKey()));
let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'audit-'));
  path = join(folder, 'audit.jsonl');
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

interface Opened {
  readonly trail: Trail;
  readonly sink: FileSink;
}

async function open(isRequired = false): Promise<Opened> {
  const opened = await FileSink.open(path, isRequired);
  const trail = new Trail({ ...opened, keys, replica: 'hub-1', isRequired, tell: () => undefined });
  return { trail, sink: opened.sink };
}

/** Starts as a hub does, writes so much, and is gone. */
async function write(count: number, isRequired = false): Promise<void> {
  const { trail } = await open(isRequired);
  for (let i = 0; i < count; i += 1) await trail.append({ event: 'hand-out', outcome: 'given', app: `app-${i}` });
  await trail.close();
}

async function findingsIn(...files: string[]): Promise<string[]> {
  const found: string[] = [];
  const verifier = new Verifier(({ line, text }) => found.push(`${line}: ${text}`), { keys });
  for (const file of files) await verifier.read(file, [readFileSync(file)]);
  verifier.end();
  return [...found, `up to ${verifier.last ?? 0}`];
}

const refusal = (): Promise<string> =>
  open().then(
    () => 'none',
    (error: unknown) => String(error),
  );

describe('the file of an audit', () => {
  it('is made for its owner alone, and goes on with each start', async () => {
    await write(2);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await write(3, true);
    await write(1);
    expect(await findingsIn(path)).toEqual(['up to 6']);
  });

  it('keeps the mode that somebody gave it', async () => {
    writeFileSync(path, '');
    chmodSync(path, 0o640);
    await write(1);
    expect(statSync(path).mode & 0o777).toBe(0o640);
  });

  it('goes on after a line of which any part is missing, and says so', async () => {
    await write(2);
    const whole = readFileSync(path, 'utf8');
    const lastLine = whole.split('\n')[1] ?? '';
    for (let left = 0; left < lastLine.length; left += 1) {
      writeFileSync(path, whole.slice(0, whole.length - 1 - lastLine.length + left));
      await write(1);
      const torn = left === 0 ? [] : ['2: was not written to its end; the next start says so'];
      expect(await findingsIn(path)).toEqual([...torn, `up to ${left === 0 ? 2 : 3}`]);
    }
  });

  it('vouches for no record that it finds without a signature behind it', async () => {
    await write(1);
    const { hash } = JSON.parse(readFileSync(path, 'utf8')) as { hash: string };
    const forged = chained(membersOf({ event: 'hand-out', outcome: 'given', client: 'nobody' }), { seq: 1, hash });
    appendFileSync(path, forged.line);
    expect(await findingsIn(path)).toEqual(['2: is not signed, nor is any record after it', 'up to 2']);
    await write(1);
    expect(await findingsIn(path)).toEqual(['2: was not written to its end; the next start says so', 'up to 3']);
  });

  it('goes on after a line that lacks its end alone', async () => {
    await write(2);
    writeFileSync(path, readFileSync(path, 'utf8').trimEnd());
    await write(1);
    expect(await findingsIn(path)).toEqual(['up to 3']);
  });

  it('goes on after a hub that was killed while it closed off what another had left', async () => {
    await write(1);
    appendFileSync(path, '{"audit":1,"seq":2,"ti');
    await write(1);
    const whole = readFileSync(path, 'utf8');
    const [one = '', two = '', three = ''] = whole.split('\n');
    for (const killed of [`${one}\n${two}\n`, `${one}\n${two}\n{`, `${one}\n${two}\n${three.slice(0, -1)}`]) {
      writeFileSync(path, killed);
      await write(1);
      expect(await findingsIn(path)).toEqual(['2: was not written to its end; the next start says so', 'up to 3']);
    }
  });

  it('begins with a torn line, if that is all there is', async () => {
    writeFileSync(path, '{"audit":1,"seq":1,"time":"20');
    await write(1);
    expect(await findingsIn(path)).toEqual(['1: was not written to its end; the next start says so', 'up to 2']);
  });

  it.each([
    ['another file', 'root:x:0:0:root:/root:/bin/bash\n'],
    ['JSON of somebody else', '{"level":"info"}\n'],
    ['a line that was changed', undefined],
    ['zeros', '\0'.repeat(4096)],
  ])('is none of its own if it ends with %s, and is left as it is', async (_, content) => {
    await write(2);
    writeFileSync(path, content ?? readFileSync(path, 'utf8').replace(/app-1/, 'app-2'));
    const before = readFileSync(path);
    expect(await refusal()).toMatch(/AUDIT_FILE ends with something that is no record.+move it away/);
    expect(readFileSync(path)).toEqual(before);
  });

  it.each([
    ['a folder', () => mkdirSync(path), /AUDIT_FILE is not a regular file/],
    [
      'in a folder that is not there',
      () => (path = join(folder, 'none', 'audit')),
      /AUDIT_FILE cannot be written \(ENOENT\)/,
    ],
  ])('cannot be %s', async (_, arrange, message) => {
    arrange();
    expect(await refusal()).toMatch(message);
  });

  it('may be renamed: the chain goes on in a new one, with nothing lost and nothing in both', async () => {
    const { trail, sink } = await open();
    const older = join(folder, 'audit.jsonl.1');
    for (let i = 0; i < 30; i += 1) {
      await trail.append({ event: 'hand-out', outcome: 'given' });
      if (i !== 9) continue;
      renameSync(path, older);
      sink.reopen();
    }
    await trail.close();
    expect(await findingsIn(older, path)).toEqual(['up to 30']);
    expect(readFileSync(older, 'utf8').split('\n')).toHaveLength(11);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await write(1);
    expect(await findingsIn(older, path)).toEqual(['up to 31']);
  });

  it('is missed when it is gone with its folder, however often it is tried, and comes back with that', async () => {
    const place = join(folder, 'place');
    mkdirSync(place);
    path = join(place, 'audit.jsonl');
    const { trail, sink } = await open();
    const append = (): Promise<string> =>
      trail.append({ event: 'hand-out', outcome: 'given' }).then(
        () => 'recorded',
        () => 'lost',
      );
    expect(await append()).toBe('recorded');
    renameSync(place, join(folder, 'elsewhere'));
    sink.reopen();
    expect([await append(), await append(), await append()]).toEqual(['lost', 'lost', 'lost']);
    mkdirSync(place);
    expect(await append()).toBe('recorded');
    await trail.close();
    expect(await findingsIn(join(folder, 'elsewhere', 'audit.jsonl'), path)).toEqual([
      expect.stringMatching(/^1: says that 3 record\(s\) could not be written/),
      'up to 3',
    ]);
  });

  it('is not left while it is where it was', async () => {
    const { trail, sink } = await open();
    for (let i = 0; i < 3; i += 1) {
      sink.reopen();
      await trail.append({ event: 'hand-out', outcome: 'given' });
    }
    await trail.close();
    expect(await findingsIn(path)).toEqual(['up to 3']);
  });

  it('is written to at once, unless the disk was slow lately', async () => {
    const { sink } = await open();
    const clock = jest.spyOn(performance, 'now').mockReturnValue(0);
    expect(await isWrittenAtOnce(sink)).toBe(true);
    clock.mockReturnValueOnce(0).mockReturnValue(21);
    expect(await isWrittenAtOnce(sink)).toBe(true);
    expect(await isWrittenAtOnce(sink)).toBe(false);
    clock.mockReturnValue(10_020);
    expect(await isWrittenAtOnce(sink)).toBe(false);
    clock.mockReturnValue(10_021);
    expect(await isWrittenAtOnce(sink)).toBe(true);
    await sink.close();
    expect(readFileSync(path, 'utf8')).toBe('line\n'.repeat(5));
  });
});

/** Writes a line; whether nothing else had a turn until that was done. */
async function isWrittenAtOnce(sink: FileSink): Promise<boolean> {
  let isWritten = false;
  const written = sink.write(Buffer.from('line\n')).then(() => (isWritten = true));
  for (let i = 0; i < 10; i += 1) await Promise.resolve();
  const wasAtOnce = isWritten;
  await written;
  return wasAtOnce;
}
