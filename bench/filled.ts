import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SteadyClock } from '../src/credentials/clock.js';
import { EmbeddedStore } from '../src/credentials/store/embedded.store.js';
import { accounts, freshEntry, STORED_KINDS, writtenAccounts } from './accounts.js';
import { KEY, KID } from './client.js';
import { fromCheckout } from './program.js';

/** So many are given to the store at once. */
const AT_ONCE = 5000;
const SECRET = 'APP_SECRET';
const OTHER_SECRET = 'OTHER_SECRET';

/** What a hub is started on: its configuration, and a data folder. */
export class Ground {
  private readonly folder = mkdtempSync(fromCheckout('build/bench-'));

  /** @param apps how many official accounts are configured. */
  constructor(apps: number) {
    writeFileSync(this.path, JSON.stringify({ apps: Object.fromEntries(writtenAccounts(apps, SECRET)) }));
  }

  /** The environment of a hub on it. Nobody answers for WeChat, unless it is told who does. */
  get environment(): Record<string, string> {
    return {
      PORT: '0',
      HUB_CONFIG: this.path,
      [SECRET]: 'no secret of anybody',
      [OTHER_SECRET]: 'another one',
      DATA_DIR: this.folder,
      [`JWT_KEY_${KID}`]: KEY,
      WECHAT_API_ROOT: 'http://127.0.0.1:9',
    };
  }

  /** Gives one app of the configuration another secret. */
  changeOne(name: string): void {
    const written = JSON.parse(readFileSync(this.path, 'utf8')) as { apps: Record<string, object> };
    const apps = { ...written.apps, [name]: { ...written.apps[name], secret: { env: OTHER_SECRET } } };
    writeFileSync(this.path, JSON.stringify({ ...written, apps }));
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /**
   * One with so many credentials in its store, as they are when they were just obtained: an access token, and a ticket for as
   * many accounts as there are credentials left.
   */
  static async filled(credentials: number): Promise<Ground> {
    const apps = Math.ceil(credentials / STORED_KINDS.length);
    const ground = new Ground(apps);
    const identities = [...accounts(apps).values()].map(({ identity }) => identity);
    const names = STORED_KINDS.flatMap((kind) => identities.map((identity) => `${identity}/${kind}`));
    const store = EmbeddedStore.open(ground.folder, new SteadyClock());
    for (let from = 0; from < credentials; from += AT_ONCE) {
      const some = names.slice(from, Math.min(from + AT_ONCE, credentials));
      await Promise.all(some.map((name) => store.put(name, 0, freshEntry())));
    }
    await store.close();
    return ground;
  }

  private get path(): string {
    return join(this.folder, 'hub.json');
  }
}
