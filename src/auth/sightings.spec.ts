import { Sightings } from './sightings.js';
import { digestOf } from './verified-tokens.js';

const [ONE, ANOTHER] = [digestOf('Bearer one'), digestOf('Bearer another')];
const NOW = 1_800_000_000_000;

let sightings: Sightings;
beforeEach(() => (sightings = new Sightings()));

describe('a sighting', () => {
  it('is known until it is forgotten, with its time', () => {
    expect(sightings.lastOf(ONE)).toBe(0);
    sightings.note(ONE, NOW);
    sightings.note(ANOTHER, NOW + 1);
    expect([ONE, ANOTHER].map((digest) => sightings.lastOf(digest))).toEqual([NOW, NOW + 1]);
    sightings.note(ONE, NOW + 2);
    sightings.forget(ANOTHER);
    expect([ONE, ANOTHER].map((digest) => sightings.lastOf(digest))).toEqual([NOW + 2, 0]);
  });

  it('is of none but its token, also of one that has the same place', () => {
    // The first 16 bits tell the place, and all but the last of them are looked at.
    const alike = ONE.slice(0, 2) + ANOTHER.slice(2);
    sightings.note(ONE, NOW);
    expect(sightings.lastOf(alike)).toBe(0);
    sightings.forget(alike);
    expect(sightings.lastOf(ONE)).toBe(NOW);
    sightings.note(alike, NOW);
    expect([ONE, alike].map((digest) => sightings.lastOf(digest))).toEqual([0, NOW]);
  });

  it('is forgotten only for others that came later: of the last thousand hardly one is', () => {
    const digests = Array.from({ length: 200_000 }, (_, i) => digestOf(`Bearer ${i}`));
    for (const digest of digests) sightings.note(digest, NOW);
    expect(digests.slice(-1000).filter((digest) => sightings.lastOf(digest) === NOW).length).toBeGreaterThan(950);
    expect(digests.filter((digest) => sightings.lastOf(digest) === NOW).length).toBeLessThanOrEqual(2 ** 15);
  });
});
