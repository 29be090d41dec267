export {createRegistration, type Registration, type RegistrationOptions} from './registration.ts';
export {defaultNodeName, machineFacts, type FactsOptions, type MachineFacts} from './facts.ts';
