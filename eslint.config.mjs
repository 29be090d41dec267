import {createProjectGraphAsync} from '@nx/devkit';
import nx from '@nx/eslint-plugin';
import tseslint from 'typescript-eslint';

// The boundaries rule reads the project graph from nx's cache, and lets everything pass where there is none.
await createProjectGraphAsync();

const typescript = ['libs/**/*.ts', 'packages/**/*.ts', 'apps/**/*.ts', 'scripts/**/*.ts', 'bench/**/*.ts'];
const tests = ['**/*.test.ts', '**/test/**/*.ts', '**/testing/**/*.ts', 'libs/testkit/**/*.ts'];

/** What the agent may never load: it is upgraded at any time and must stay small. */
const fastify = {
  group: ['fastify', 'fastify/*', '@fastify/*', 'fastify-type-provider-zod'],
  message: 'Node halves never import Fastify: node code talks over the bus.',
};

/** What a pure core may never load. Side effects are returned as steps and executed elsewhere. */
const io = {
  regex:
    '^(node:)?(fs|fs/promises|net|tls|dgram|dns|dns/promises|http|http2|https|child_process|worker_threads|cluster|os|process|timers|timers/promises|sqlite|readline|repl|inspector)$',
  message: 'core/ is pure: no I/O, clock or process. Take what is needed as a parameter, return steps.',
};
const ioPackages = {
  group: ['dockerode', 'pino', 'fastify', 'fastify/*', '@fastify/*', 'ioredis', 'nats', 'ws', 'prom-client', '@kubernetes/*', '@grpc/*'],
  message: 'core/ is pure: no I/O. Take what is needed as a parameter, return steps.',
};

const impure = [
  {selector: "CallExpression[callee.object.name='Date'][callee.property.name='now']", message: 'core/ has no clock: take `now` as a parameter.'},
  {selector: "CallExpression[callee.object.name='performance'][callee.property.name='now']", message: 'core/ has no clock: take `now` as a parameter.'},
  {selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'core/ has no clock: take `now` as a parameter.'},
  {selector: "CallExpression[callee.name='Date']", message: 'core/ has no clock: take `now` as a parameter.'},
  {selector: "CallExpression[callee.object.name='Math'][callee.property.name='random']", message: 'core/ has no randomness: take `random` as a parameter.'},
  {selector: "CallExpression[callee.property.name=/^(randomUUID|randomBytes|randomInt|getRandomValues)$/]", message: 'core/ has no randomness: take ids as a parameter.'},
  {selector: 'CallExpression[callee.name=/^(randomUUID|randomBytes|randomInt)$/]', message: 'core/ has no randomness: take ids as a parameter.'},
];

export default tseslint.config(
  {ignores: ['**/node_modules/**', '**/dist/**', '.nx/**', 'coverage/**', '**/*.d.ts']},
  {
    files: typescript,
    extends: [tseslint.configs.recommended],
    plugins: {'@nx': nx},
    languageOptions: {parserOptions: {projectService: true, tsconfigRootDir: import.meta.dirname}},
    linterOptions: {reportUnusedDisableDirectives: 'error'},
    rules: {
      eqeqeq: ['error', 'always', {null: 'ignore'}],
      'no-console': 'error',
      'no-constant-condition': ['error', {checkLoops: 'allExceptWhileTrue'}],
      'no-empty': ['error', {allowEmptyCatch: false}],
      'object-shorthand': 'error',
      'prefer-const': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', {checksVoidReturn: {arguments: false, attributes: false}}],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', {considerDefaultExhaustiveForUnions: true}],
      '@typescript-eslint/no-unnecessary-type-assertion': 'error',
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      '@typescript-eslint/consistent-type-imports': ['error', {fixStyle: 'inline-type-imports'}],
      '@typescript-eslint/no-unused-vars': [
        'error',
        {argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrorsIgnorePattern: '^_', destructuredArrayIgnorePattern: '^_', ignoreRestSiblings: true},
      ],
      '@nx/enforce-module-boundaries': [
        'error',
        {
          enforceBuildableLibDependency: false,
          // A test may use its package as others do, by its name.
          allowCircularSelfDependency: true,
          depConstraints: [
            {sourceTag: 'type:lib', onlyDependOnLibsWithTags: ['type:lib']},
            {sourceTag: 'type:manager', onlyDependOnLibsWithTags: ['type:lib']},
            {sourceTag: 'type:app', onlyDependOnLibsWithTags: ['type:lib', 'type:manager', 'type:app']},
          ],
        },
      ],
    },
  },
  {
    files: ['**/*.mjs'],
    rules: {eqeqeq: ['error', 'always', {null: 'ignore'}], 'no-unused-vars': ['error', {argsIgnorePattern: '^_'}], 'no-undef': 'off', 'object-shorthand': 'error', 'prefer-const': 'error'},
  },
  {
    files: ['packages/*/src/node/**/*.ts', 'apps/agent/**/*.ts'],
    rules: {'no-restricted-imports': ['error', {patterns: [fastify]}]},
  },
  {
    files: ['**/core/**/*.ts'],
    ignores: tests,
    rules: {
      'no-restricted-imports': ['error', {patterns: [io, ioPackages]}],
      'no-restricted-syntax': ['error', ...impure],
      'no-restricted-globals': ['error', 'setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'fetch', 'process', 'console'],
    },
  },
  {
    // A person's terminal is the product here; nowhere else may anything but the logger write.
    files: ['apps/cli/**/*.ts', 'bench/**/*.ts', 'scripts/**/*.ts'],
    rules: {'no-console': 'off'},
  },
  {
    files: tests,
    rules: {'@typescript-eslint/no-non-null-assertion': 'off'},
  },
  {
    files: ['**/*.test.ts', '**/test/**/*.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: "NewExpression[callee.name='Promise'] CallExpression[callee.name='setTimeout']",
          message: 'No sleeps in tests: wait for a condition with a deadline (waitFor of @hivemind/testkit) or inject a clock.',
        },
      ],
    },
  },
);
