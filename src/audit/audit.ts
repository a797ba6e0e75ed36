import { hostname } from 'node:os';
import { type Asking, type ClientRequest, clientOf } from '../auth/client.guard.js';
import { AUDIT_ON_STDOUT, type AuditSettings } from '../config/environment.js';
import { NOTHING_YET } from './chain.js';
import { FileSink, type Opened } from './file.sink.js';
import { AuditKeys } from './keys.js';
import type { AuditRecord, RecurringRecord } from './record.js';
import { StdoutSink } from './sink.js';
import { Strangers } from './strangers.js';
import { type AuditEvent, type AuditStatus, AuditUnavailable, Trail } from './trail.js';

export { AuditUnavailable } from './trail.js';

const NOTHING_TO_RECORD = Promise.resolve();

/** What the audit needs of the rest of the hub. */
export interface Witness {
  /** Where a request comes from, and the network that counts as one there. */
  sourceAddressOf(request: Asking): string;
  sourceNetworkOf(request: Asking): string;
  tell(event: AuditEvent): void;
}

/** Keeps records of who was given what, on whose word what was done, and who was refused; or nothing, if it is off. */
export class Audit {
  private readonly strangers = new Strangers((record) => this.note(record));

  private constructor(
    private readonly witness: Witness,
    private readonly trail?: Trail,
    private readonly file?: FileSink,
  ) {}

  /**
   * @param settings absent, the audit is off.
   * @throws AuditRefused when the file is not one to go on in.
   */
  static async open(settings: AuditSettings | undefined, witness: Witness): Promise<Audit> {
    if (!settings) return new Audit(witness);
    const { path, keys, isRequired } = settings;
    const { sink, last, ending } = path === AUDIT_ON_STDOUT ? onStdout() : await FileSink.open(path, isRequired);
    const tell = (event: AuditEvent): void => {
      witness.tell(event);
    };
    const trail = new Trail({ sink, last, ending, keys: new AuditKeys(keys), replica: hostname(), isRequired, tell });
    return new Audit(witness, trail, sink instanceof FileSink ? sink : undefined);
  }

  /** How the audit stands; nothing if it is off. */
  get status(): AuditStatus | undefined {
    return this.trail?.status;
  }

  /** Whether anything is kept at all. */
  get isOn(): boolean {
    return this.trail !== undefined;
  }

  /** Whether it is written into a file, which somebody may rename. */
  get isInFile(): boolean {
    return this.file !== undefined;
  }

  /**
   * Before a client is given something: ends when that is recorded, or need not be.
   * @throws AuditUnavailable when it has to be, and cannot.
   */
  give(request: ClientRequest, record: AuditRecord | RecurringRecord): Promise<void> {
    return this.trail ? this.trail.give(record, this.askedIn(request)) : NOTHING_TO_RECORD;
  }

  /** Of whatever else there is to record: ends when it is recorded, or cannot be. */
  async note(record: AuditRecord, request?: Asking): Promise<void> {
    await this.trail?.append({ ...(request && this.askedBy(request)), ...record }).catch(() => undefined);
  }

  /**
   * Of a stranger who is refused, which is described only where it is recorded: ends when that is recorded, or cannot be.
   * Where it is but counted, nobody has to wait.
   */
  noteStranger(describe: () => AuditRecord, request: Asking): Promise<void> | undefined {
    if (!this.trail) return undefined;
    const network = this.witness.sourceNetworkOf(request);
    return this.strangers.refused(network, () => ({ ...this.askedBy(request), ...describe() }));
  }

  /** Of a stranger who is refused without a look. */
  noteShed(network: string): void {
    if (this.trail) this.strangers.shed(network);
  }

  /**
   * Before something is done on a client's word that cannot be taken back.
   * @throws AuditUnavailable when it is known already that it could not be recorded, and it has to be.
   */
  assertKept(): void {
    const { isRequired, trouble } = this.trail?.status ?? {};
    if (isRequired && trouble) throw new AuditUnavailable();
  }

  /** Goes over to a new file, if the old one was renamed. */
  reopen(): void {
    this.file?.reopen();
  }

  /** Who asks, as members of a line. None of it has a character that JSON would write otherwise. */
  private askedIn(request: ClientRequest): string {
    const { about, client, requestId } = request;
    const app = about === undefined ? '' : `,"app":"${about}"`;
    return `"client":"${client.name}"${app},"source":"${this.witness.sourceAddressOf(request)}","request":"${requestId}"`;
  }

  /** Who asks, and whence. Strangers have no name, and what they ask about may be anything. */
  private askedBy(request: Asking): Partial<AuditRecord> {
    const { about, requestId } = request;
    return {
      client: clientOf(request)?.name,
      app: about,
      source: this.witness.sourceAddressOf(request),
      request: requestId,
    };
  }

  /** Records that the hub ends, and how; writes what waits, and ends. */
  async close(outcome: 'stopped' | 'not-started'): Promise<void> {
    await this.strangers.close();
    await this.note({ event: 'stop', outcome });
    await this.trail?.close();
  }
}

/** On stdout nobody knows what was there before: each start begins a chain of its own. */
function onStdout(): Opened<StdoutSink> {
  return { sink: new StdoutSink(), last: NOTHING_YET, ending: { isLineEnded: true } };
}
