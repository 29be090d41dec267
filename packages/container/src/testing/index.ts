/** For tests of whoever uses a runtime. */
export {createFakeRuntime, type FakeRuntime, type FakeRuntimeOptions} from './fake.ts';
export {FakeEngine, type FakeCall, type FakeContainer, type FakeImage} from './fake-engine.ts';
export {runtimeContract, type RuntimeUnderTest} from './contract.ts';
export {containerRecord, containerSpec, type ContainerOverrides} from './builders.ts';
