const common = {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  moduleFileExtensions: ['js', 'ts', 'mjs', 'cjs', 'json'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  restoreMocks: true,
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        swcrc: false,
        sourceMaps: 'inline',
        module: { type: 'es6' },
        jsc: {
          target: 'es2022',
          keepClassNames: true,
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: true },
        },
      },
    ],
  },
};

export default {
  projects: [
    { ...common, displayName: 'unit', testMatch: ['<rootDir>/src/**/*.spec.ts', '<rootDir>/test/simulat*/*.spec.ts'] },
    { ...common, displayName: 'client', testMatch: ['<rootDir>/client/**/*spec.ts'] },
    { ...common, displayName: 'hub', testMatch: ['<rootDir>/test/*.e2e-spec.ts'] },
  ],
  globalSetup: '<rootDir>/test/redis.setup.mjs',
  reporters: ['default', '<rootDir>/test/counts.reporter.mjs'],
  // Native ES modules leak some 15 MB per spec file in Jest's registry; a worker past this is started anew.
  workerIdleMemoryLimit: '256MB',
  // Most of the time tests wait for processes and clocks, not for a core.
  maxWorkers: 3,
  // None takes so long but on a machine that is busy with something else.
  testTimeout: 60_000,
};
