/**
 * Reads JSON in which every name stands once. Two members of one name mean one thing to one reader and another to the
 * next, and `JSON.parse` says nothing of them: but each member has a colon of its own outside of texts, so there are as
 * many colons as members, or some were lost.
 *
 * @throws SyntaxError when the text is no JSON, or a name stands twice in one object.
 */
export function parseStrictJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  const members = membersOf(value);
  // Most texts have no other colons in them.
  if (colonsIn(text) !== members && colonsOutsideTexts(text) !== members) {
    throw new SyntaxError('a name stands twice in one object');
  }
  return value;
}

function membersOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  let members = Array.isArray(value) ? 0 : Object.keys(value).length;
  for (const member of Object.values(value)) members += membersOf(member);
  return members;
}

function colonsIn(text: string): number {
  let colons = 0;
  for (let at = text.indexOf(':'); at >= 0; at = text.indexOf(':', at + 1)) colons += 1;
  return colons;
}

function colonsOutsideTexts(text: string): number {
  let colons = 0;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|:/g)) if (token === ':') colons += 1;
  return colons;
}

/** How many objects and lists stand in one another; 0 for a plain value. */
export function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Object.values(value).reduce<number>((deepest, member) => Math.max(deepest, depthOf(member)), 0);
}
