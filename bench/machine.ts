import { arch, cpus, release, totalmem } from 'node:os';

/** What figures were measured on, as far as it matters to them and says nothing of where it stands. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly kernel: string;
  readonly node: string;
}

/** The machine that this runs on. */
export function machine(): Machine {
  const all = cpus();
  return {
    cpu: `${all[0]?.model ?? 'unknown'}, ${arch()}`,
    cores: all.length,
    memoryGb: Math.round(totalmem() / 1e9),
    // Without what a distributor adds.
    kernel: `Linux ${release().replace(/-.*/, '')}`,
    node: process.version,
  };
}
