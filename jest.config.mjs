// Tests run clusters beside each other, and a machine has one cluster's network: those about networks ask for one themselves.
process.env.HIVEMIND_NETWORK_BACKEND ??= 'none';

/**
 * One configuration for the whole workspace. Sources are ESM TypeScript and run as such:
 * NODE_OPTIONS=--experimental-vm-modules is required (`npm run test:unit` sets it).
 *
 * @type {import('jest').Config}
 */
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/libs', '<rootDir>/packages', '<rootDir>/apps', '<rootDir>/scripts'],
  testMatch: ['**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/', ...(process.env.HIVEMIND_TEST_FULL ? [] : ['\\.full\\.test\\.ts$'])],
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/.nx/'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleFileExtensions: ['ts', 'js', 'mjs', 'cjs', 'json', 'node'],
  transform: {
    '\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: 'esnext',
          parser: {syntax: 'typescript'},
          transform: {verbatimModuleSyntax: true},
        },
        module: {type: 'es6'},
        sourceMaps: 'inline',
      },
    ],
  },
  testTimeout: 30_000,
};
