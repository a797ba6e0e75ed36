import { Secret } from '../src/config/secret.js';
import type { Host, Outside, Renewed, SourceEvent } from '../src/credentials/outside.js';
import { Source } from '../src/credentials/source.js';
import type { Account, Minted, Nature, Need, Recipe } from '../src/wechat/platforms/platform.js';

type Ask = (need: Need) => Promise<Minted>;

/** The world of a credential without an app around it. */
export interface LoneOutside extends Outside {
  tell(event: SourceEvent): void;
  plan(source: Renewed): void;
}

/** A credential without an app around it, in a world that the test decides on. */
export class LoneSource extends Source {
  /** Takes over another configuration, with which WeChat is asked so. */
  readonly reconfigure: (ask: Ask) => void;
  private readonly closeHost: () => void;

  constructor(name: string, ask: Ask, nature: Nature, outside: LoneOutside) {
    const recipe: Recipe = { kind: name, nature, mint: (_account, _means, need) => host.ask(need) };
    const host = new LoneHost(ask, outside);
    super(recipe, host, outside);
    this.reconfigure = (other) => {
      host.configure(other);
      this.adopt();
    };
    this.closeHost = () => {
      host.isClosed = true;
    };
  }

  override close(): Promise<void> {
    this.closeHost();
    return super.close();
  }
}

class LoneHost implements Host {
  readonly startedAt: number;
  account = accountOf();
  isClosed = false;

  constructor(
    public ask: Ask,
    private readonly outside: LoneOutside,
  ) {
    this.startedAt = outside.now();
  }

  configure(ask: Ask): void {
    this.ask = ask;
    this.account = accountOf();
  }

  nameOf(kind: string): string {
    return kind;
  }

  mint(recipe: Recipe, need: Need): Promise<Minted> {
    const nobody = { use: () => Promise.reject(new Error('there is no other credential')) };
    const wechat = { call: () => Promise.reject(new Error('nobody calls it so')) };
    return recipe.mint(this.account, { wechat, accessToken: nobody }, need);
  }

  tell(_kind: string, event: SourceEvent): void {
    this.outside.tell(event);
  }

  plan(source: Renewed): void {
    this.outside.plan(source);
  }
}

function accountOf(): Account {
  return { appid: 'wx0123456789abcdef', secret: new Secret('no secret of anybody') };
}
