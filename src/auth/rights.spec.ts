import type { Client } from '../config/clients.js';
import { type Action, ACTIONS } from '../config/hub-file.js';
import { assertMay, Forbidden, sees, UnknownApp } from './rights.js';

const clientOf = (apps: '*' | string[], may: Action[]): Client => ({
  name: 'web',
  keys: [],
  apps: apps === '*' ? '*' : new Set(apps),
  may: new Set(may),
});

describe('a client', () => {
  it('sees the apps that it was given', () => {
    const client = clientOf(['shop', 'crm'], ['read']);
    expect(['shop', 'crm', 'blog', '', '*', '__proto__'].map((app) => sees(client, app))).toEqual([
      true,
      true,
      false,
      false,
      false,
      false,
    ]);
  });

  it('sees every app, if it was given all', () => {
    expect(['shop', 'no-such-app'].map((app) => sees(clientOf('*', []), app))).toEqual([true, true]);
  });

  it('sees none, if it was given none', () => {
    expect(sees(clientOf([], ['read']), 'shop')).toBe(false);
  });

  it.each(ACTIONS)('may %s only where that right was given, and no right implies another', (action) => {
    const others = ACTIONS.filter((other) => other !== action);
    expect(() => assertMay(clientOf(['shop'], [action]), action, 'shop')).not.toThrow();
    expect(() => assertMay(clientOf(['shop'], others), action, 'shop')).toThrow(Forbidden);
    expect(() => assertMay(clientOf('*', others), action, 'shop')).toThrow(Forbidden);
  });

  it('is not told of an app that it does not see, whatever it may do', () => {
    expect(() => assertMay(clientOf(['shop'], [...ACTIONS]), 'read', 'crm')).toThrow(UnknownApp);
    expect(() => assertMay(clientOf(['shop'], []), 'read', 'crm')).toThrow(UnknownApp);
  });
});
