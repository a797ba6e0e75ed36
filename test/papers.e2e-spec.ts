import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const read = (path: string): string => readFileSync(pathOf(path), 'utf8');
const pathOf = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** A promise, and what is said to prove it: files in backticks, the titles of the tests in quotes behind each. */
interface Row {
  readonly promise: string;
  readonly proofs: readonly { readonly file: string; readonly titles: readonly string[] }[];
}

function rowsIn(text: string): Row[] {
  const [, table = ''] = /## Promises, and their proofs\n\n.*\n\|[ |-]*\n((?:\|.*\n)+)/.exec(text) ?? [];
  return [...table.matchAll(/^\| (.*) \| (.*) \|$/gm)].map(([, promise = '', proof = '']) => ({
    promise: promise.trim(),
    proofs: [...proof.matchAll(/`([^`]+)`((?:, "[^"]+")*)/g)].map(([, file = '', titles = '']) => ({
      file,
      titles: [...titles.matchAll(/"([^"]+)"/g)].map(([, title = '']) => title),
    })),
  }));
}

describe('the promises on security', () => {
  const rows = rowsIn(read('docs/security.md'));

  it('are many, and each has a proof', () => {
    expect(rows.length).toBeGreaterThan(15);
    expect(rows.filter(({ proofs }) => proofs.length === 0)).toEqual([]);
  });

  it.each(rows.flatMap(({ proofs }) => proofs))(
    'are proved by tests that there are: $file $titles',
    ({ file, titles }) => {
      expect(existsSync(pathOf(file))).toBe(true);
      const found = [...read(file).matchAll(/^\s*(?:describe\w*|it)\((['"`])(.*)\1,/gm)].map(([, , title]) => title);
      expect(titles.filter((title) => !found.includes(title))).toEqual([]);
    },
  );
});
