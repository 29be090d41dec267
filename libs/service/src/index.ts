/** What turns a manager into a service: its server, and the conventions of the API that every route keeps. */
export * from './manager.ts';
export {createHttp, stopHttp, type HttpOptions, type HttpServer, type TlsOptions} from './http.ts';
export {OpenApiDocument, type OtherDocuments} from './openapi-document.ts';
export {manifest, withSpec} from './manifest.ts';
export {problemOf, sendProblem, type Problem} from './problem.ts';
export {parseJson, parseYaml} from './body.ts';
export {serviceErrors} from './errors.ts';
export {ALL_NAMESPACES, DEFAULT_NAMESPACE, listQuery, namespaceFilter, namespaceOf, NamespaceQuery, queryFlag, queryInteger, sameName, WriteQuery, type ListQuery, type ListQueryOptions} from './query.ts';
export {listReply, parseRevision, revisionText, type Listed, type ListReply} from './list.ts';
export {parseLabelSelector, type LabelMatcher} from './label-selector.ts';
export {checkMatch, created, ifMatch, withETag} from './conditional.ts';
export {honourIdempotencyKeys} from './idempotency.ts';
export {flushEvents, recordEvent, type NewEvent} from './events.ts';
export {hostPort, isLoopback, isWildcard, listenOn, parseListen, type ListenAddress} from './listen.ts';
export {Caller, CALLER_HEADER, createCallerSigner, requireCaller, type CallerCheck, type CallerSigner, type SignedRequest} from './caller.ts';
export {instanceKey, registerInstance, serviceInstances, type Registration, type RegistrationOptions} from './registration.ts';
export {answerFresh} from './freshness.ts';
