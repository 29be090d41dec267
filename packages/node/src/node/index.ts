export {createRegistration, type Registration, type RegistrationOptions} from './registration.ts';
export {defaultNodeName, machineFacts, type FactsOptions, type MachineFacts} from './facts.ts';
export {openMembership, type JoinOptions} from './join.ts';
export {NodeCredentials} from './join-credentials.ts';
export {joiningErrors} from './join-errors.ts';
