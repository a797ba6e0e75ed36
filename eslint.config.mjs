import eslint from '@eslint/js';
import prettier from 'eslint-config-prettier';
import { createNodeResolver, importX } from 'eslint-plugin-import-x';
import jest from 'eslint-plugin-jest';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** What each folder must not import: the house has floors, and imports go down only. */
const FLOORS = ['openapi', 'gateway', 'http', 'metrics', 'health', 'credentials', 'audit', 'auth', 'wechat', 'config'];
const zones = FLOORS.flatMap((floor, below) => ({
  target: `./src/${floor}`,
  from: [
    ...FLOORS.slice(0, below).map((above) => `./src/${above}`),
    './src/main.ts',
    './src/hub.ts',
    './src/app.module.ts',
  ],
  message: `Imports go down the house only: ${FLOORS.join(', ')}.`,
}));

/** The core is plain TypeScript; these rim files of its folders are where Nest begins. */
const RIM = [
  '**/*.module.ts',
  '**/*.controller.ts',
  '**/*.service.ts',
  '**/*.cron.ts',
  '**/*.guard.ts',
  '**/*.strategy.ts',
];

export default defineConfig(
  globalIgnores(['dist', 'client/dist', 'build', 'coverage', 'node_modules', '**/*.mjs']),
  eslint.configs.recommended,
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    plugins: { 'import-x': importX },
    settings: {
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts'] },
      'import-x/resolver-next': [
        createNodeResolver({ extensions: ['.ts', '.js'], extensionAlias: { '.js': ['.ts', '.js'] } }),
      ],
    },
    rules: {
      '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // Nest's option bags and our proxies are used by their shape.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidOperator: true },
      ],
      'import-x/no-restricted-paths': ['error', { zones }],
      'import-x/no-cycle': ['error', { ignoreExternal: true }],
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'Only config/ reads the environment.' },
      ],
    },
  },
  {
    files: ['credentials', 'audit', 'auth', 'wechat', 'config'].map((floor) => `src/${floor}/**/*.ts`),
    ignores: [...RIM, 'src/wechat/wechat.client.ts', 'src/wechat/wechat.relay.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: [{ group: ['@nestjs/*'], message: 'The core is plain TypeScript; Nest stays at the rim.' }] },
      ],
    },
  },
  {
    files: [
      'src/main.ts',
      'src/audit/main.ts',
      'src/gateway/main.ts',
      'client/src/sidecar/main.ts',
      'client/test/**/*.ts',
      'test/**/*.ts',
      'bench/**/*.ts',
    ],
    rules: { 'no-restricted-properties': 'off' },
  },
  {
    files: ['client/src/*.ts'],
    ignores: ['client/src/node.ts', '**/*.spec.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: [{ regex: '^[^.]', message: 'It depends on nothing, and runs where there is no Node, too.' }] },
      ],
    },
  },
  {
    files: ['**/*.spec.ts', '**/*.e2e-spec.ts'],
    ...jest.configs['flat/recommended'],
    rules: {
      ...jest.configs['flat/recommended'].rules,
      '@typescript-eslint/unbound-method': 'off',
      'jest/unbound-method': 'error',
      'jest/expect-expect': ['error', { assertFunctionNames: ['expect', 'expect*', '**.expect', 'fc.assert'] }],
    },
  },
  prettier,
);
