// The definitions (defineRequest, defineMessage, defineStream, types, Tokens<S>) live in @hivemind/contracts
// (libs/contracts/src/subject.ts), so that contracts can declare all subjects without importing the bus.
// This file holds the acting half: call, serve, emit, listen, open, serveStream.
export {defineRequest, defineMessage, defineStream} from '@hivemind/contracts';
