import fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import { newKey } from '../config/random-keys.js';
import { Secret } from '../config/secret.js';
import { chained, hashOf, type Link, membersOf, NOTHING_YET } from './chain.js';
import { AuditKeys } from './keys.js';
import { type Expectations, type Finding, Verifier } from './verifier.js';

const keys = new AuditKeys(new Secret(newKey()));

/** So many lines of a chain, each with its end, of which one in three is signed, and the last. */
function linesOf(count: number, before: Link = NOTHING_YET, by = keys): string[] {
  let last = before;
  return Array.from({ length: count }, (_, i) => {
    const members = membersOf({ event: 'hand-out', outcome: 'given', app: `app-${i}` });
    const { line, link } = chained(members, last, i % 3 === 2 || i === count - 1 ? by : undefined);
    last = link;
    return line;
  });
}

/** What is found in these files. */
async function findingsIn(files: readonly (string | Buffer)[], expectations: Expectations = {}): Promise<string[]> {
  const found: string[] = [];
  const tell = ({ file, line, text, isFault }: Finding): void => {
    found.push(`${file}:${line}: ${isFault ? '' : 'note: '}${text}`);
  };
  const verifier = new Verifier(tell, expectations);
  for (const [i, file] of files.entries()) await verifier.read(`file-${i}`, chunksOf(Buffer.from(file)));
  verifier.end();
  return found;
}

/** In pieces, as streams give them. */
function chunksOf(bytes: Buffer, size = 997): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
}

const lines = linesOf(8);
const text = lines.join('');
const faultsIn = async (...files: (string | Buffer)[]): Promise<string[]> =>
  (await findingsIn(files, { keys })).filter((finding) => !finding.includes(': note: '));

describe('the verifier', () => {
  it('finds nothing in what was written, in one file or in several, and nothing in nothing', async () => {
    for (let cut = 0; cut <= lines.length; cut += 1) {
      expect(await findingsIn([lines.slice(0, cut).join(''), lines.slice(cut).join('')], { keys })).toEqual([]);
    }
    expect(await findingsIn([''], { keys })).toEqual([]);
  });

  it('begins with whatever record a file begins with: those before may be in an archive', async () => {
    expect(await findingsIn([lines.slice(5).join('')], { keys })).toEqual([]);
  });

  it('finds any byte that was changed, with the key and without', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(text.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
        const spoilt = Buffer.from(text);
        spoilt[at] = (spoilt[at] ?? 0) ^ change;
        expect(await findingsIn([spoilt])).not.toEqual([]);
        expect(await faultsIn(spoilt)).not.toEqual([]);
      }),
    );
  });

  it('finds any byte that was taken away or put in', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(text.length - 1), fc.constantFrom('', 'xx', '\n', ' ', '}'), async (at, instead) => {
        expect(
          await faultsIn(text.slice(0, at) + instead + text.slice(at + 1 - Math.sign(instead.length))),
        ).not.toEqual([]);
      }),
    );
  });

  it('finds any line that was taken away, but at the end: that what is behind a signature is not there cannot be seen', async () => {
    for (let at = 1; at < lines.length - 1; at += 1) {
      expect(await faultsIn(lines.toSpliced(at, 1).join(''))).toEqual([
        `file-0:${at + 1}: comes after record ${at + 1}, which is missing`,
      ]);
    }
    expect(await faultsIn(lines.slice(0, -2).join(''))).toEqual([]);
  });

  it('finds any two lines that were exchanged', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(lines.length - 1), fc.nat(lines.length - 1), async (one, other) => {
        fc.pre(one !== other);
        const changed = lines.with(one, lines[other] ?? '').with(other, lines[one] ?? '');
        expect(await faultsIn(changed.join(''))).not.toEqual([]);
      }),
    );
  });

  it('finds any line that is there twice, wherever it was put', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(lines.length - 1), fc.nat(lines.length), async (which, at) => {
        // Before the first, it is the first that is there twice.
        const changed = lines.toSpliced(at, 0, lines[which] ?? '');
        expect(await faultsIn(changed.join(''))).not.toEqual([]);
      }),
    );
  });

  it('finds a line of another audit, and what it says of it is where and what', async () => {
    const [foreign = ''] = linesOf(5, NOTHING_YET, new AuditKeys(new Secret(newKey()))).slice(2, 3);
    expect(await faultsIn(lines.with(2, foreign).join(''))).toEqual([
      'file-0:3: was not written by a hub with this key',
      'file-0:4: does not follow from the line before: one of the two was exchanged',
    ]);
  });

  it('finds with the key what somebody without it wrote anew to the end, and cannot without', async () => {
    const forged = linesOf(8, NOTHING_YET, new AuditKeys(new Secret(newKey())));
    expect(await findingsIn([forged.join('')])).toEqual([]);
    expect(await faultsIn(forged.join(''))).toEqual(
      [3, 6, 8].map((line) => `file-0:${line}: was not written by a hub with this key`),
    );
  });

  it('takes records of an earlier key, if it is given that too', async () => {
    const [old, newer] = [newKey(), newKey()];
    const before = linesOf(2, NOTHING_YET, new AuditKeys(new Secret(old)));
    const after = linesOf(4, NOTHING_YET, new AuditKeys(new Secret(`${newer},${old}`)));
    const both = { keys: new AuditKeys(new Secret(`${newer} ${old}`)) };
    expect(await findingsIn([before.join('')], both)).toEqual([]);
    expect(await findingsIn([after.join('')], both)).toEqual([]);
    expect(await findingsIn([before.join('')], { keys: new AuditKeys(new Secret(newer)) })).toHaveLength(1);
  });

  it('finds files that are missing, doubled or in the wrong order', async () => {
    const [one, two, three] = [lines.slice(0, 3).join(''), lines.slice(3, 6).join(''), lines.slice(6).join('')];
    expect(await faultsIn(one, three)).toEqual(['file-1:1: comes after records 4 to 6, which are missing']);
    expect(await faultsIn(one, one, two, three)).toContain(
      'file-1:1: begins a new chain, which nothing ties to what is before it',
    );
    expect(await faultsIn(two, one, three)).not.toEqual([]);
    expect(await faultsIn(one, two, two, three)).toEqual(
      [4, 5, 6].map((seq, i) => `file-2:${i + 1}: has record ${seq} again, or out of order, where record 7 was due`),
    );
  });

  it('takes a chain that begins anew only where that is to be expected', async () => {
    const files = [lines.join('') + linesOf(2).join('')];
    expect(await findingsIn(files, { keys })).toEqual([
      'file-0:9: begins a new chain, which nothing ties to what is before it',
    ]);
    expect(await findingsIn(files, { keys, mayBeginAnew: true })).toEqual([
      'file-0:9: note: begins a chain of its own',
    ]);
  });

  it('finds records at the end that are not signed, nor is any after them', async () => {
    const unsigned = 'is not signed, nor is any record after it';
    expect(await faultsIn(lines.slice(0, 5).join(''))).toEqual([`file-0:4: ${unsigned}`]);
    expect(await faultsIn(lines.slice(0, 4).join(''))).toEqual([`file-0:4: ${unsigned}`]);
    expect(await faultsIn(lines.slice(0, 3).join(''), lines[3] ?? '')).toEqual([`file-1:1: ${unsigned}`]);
    expect(await findingsIn([lines.slice(0, 4).join('')])).toEqual([`file-0:4: ${unsigned}`]);
  });

  it('finds records without a signature that somebody put behind, and signed with a key of his own', async () => {
    const [, , third = ''] = lines;
    const { hash } = JSON.parse(third) as { hash: string };
    const stranger = new AuditKeys(new Secret(newKey()));
    const forged = linesOf(2, { seq: 3, hash }, stranger);
    expect(await faultsIn(lines.slice(0, 3).join('') + forged.join(''))).toEqual([
      'file-0:5: was not written by a hub with this key',
    ]);
  });

  it('finds a torn end', async () => {
    const end = 'is torn: it was not written to its end, and no record says so';
    for (let cut = 1; cut < (lines.at(-1)?.length ?? 0); cut += 1) {
      expect(await faultsIn(text.slice(0, -cut))).toEqual([`file-0:8: ${end}`]);
    }
  });

  describe('of a piece of a line', () => {
    const { line: first, link: firstLink } = chained(
      membersOf({ event: 'hand-out', outcome: 'given', app: 'app-0' }),
      NOTHING_YET,
      keys,
    );
    const [second = ''] = linesOf(1, firstLink);
    const piece = second.slice(0, 100);
    const closedOff = (torn: string): string => {
      const said = { event: 'torn', outcome: 'closed-off', bytes: Buffer.byteLength(torn), sha256: hashOf(torn) };
      return chained(membersOf(said), firstLink, keys).line;
    };
    const note = ['file-0:2: note: was not written to its end; the next start says so'];

    it('takes the word of the record behind it, in the same file or in the next', async () => {
      expect(await findingsIn([`${first}${piece}\n${closedOff(piece)}`], { keys })).toEqual(note);
      expect(await findingsIn([`${first}${piece}`, closedOff(piece)], { keys })).toEqual(note);
    });

    it('takes the word of it for several pieces: a hub may be killed twice', async () => {
      const pieces = `${piece}\n\n{"audit":1,"se`;
      expect(await findingsIn([`${first}${pieces}\n${closedOff(pieces)}`], { keys })).toEqual(note);
    });

    it('takes the word of it for whole records that nobody signed before the hub was killed', async () => {
      const unsigned = chained(membersOf({ event: 'hand-out', outcome: 'given' }), firstLink, undefined).line;
      const left = `${unsigned}${piece}`;
      expect(await findingsIn([`${first}${left}\n${closedOff(left)}`], { keys })).toEqual(note);
      expect(await findingsIn([`${first}${unsigned}${closedOff(unsigned.trimEnd())}`], { keys })).toEqual(note);
      expect(await faultsIn(`${first}${unsigned}${closedOff(piece)}`)).not.toEqual([]);
    });

    it('does not, if it is another piece than the record says, or none', async () => {
      const other = piece.replace('app', 'apq');
      expect(await faultsIn(`${first}${other}\n${closedOff(piece)}`)).toEqual(['file-0:2: is no record']);
      expect(await faultsIn(`${first}${piece}\n${second}`)).toEqual(['file-0:2: is no record']);
      expect(await faultsIn(`${first}\n${second}`)).toEqual(['file-0:2: is no record']);
    });
  });

  it('says where records are missing that a hub could not write', async () => {
    const { link } = chained(membersOf({ event: 'start', outcome: 'started' }), NOTHING_YET, keys);
    const gap = { event: 'gap', outcome: 'told', since: '2026-11-25T07:00:00.000Z', lost: 3 };
    const { line } = chained(membersOf(gap), link, keys);
    expect(await findingsIn([line], { keys })).toEqual([
      'file-0:1: note: says that 3 record(s) could not be written since 2026-11-25T07:00:00.000Z',
    ]);
  });

  it('is not led astray by what is no audit at all, however long a line of it is', async () => {
    const nonsense = [
      randomBytes(300_000),
      Buffer.alloc(300_000),
      'x'.repeat(300_000),
      '{}\n[]\nnull\n',
      '{"audit":1,',
    ];
    for (const each of nonsense) expect(await faultsIn(each)).not.toEqual([]);
    expect(await faultsIn(`${lines[0] ?? ''}${'x'.repeat(300_000)}\n${lines.slice(1).join('')}`)).toEqual([
      'file-0:2: is no record',
    ]);
  });
});
