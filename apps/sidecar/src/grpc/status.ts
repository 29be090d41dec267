/** Errors as gRPC carries them: a status, and the stable code in a trailer. */
import {Metadata, type ServiceError, status, type StatusObject} from '@grpc/grpc-js';
import {commonErrors, HivemindError} from '@hivemind/contracts/define-errors';

const CODE = 'hivemind-code';
const HTTP_STATUS = 'hivemind-status';
const byHttp: Readonly<Record<number, status>> = {400: status.INVALID_ARGUMENT, 404: status.NOT_FOUND, 409: status.FAILED_PRECONDITION, 422: status.INVALID_ARGUMENT, 503: status.UNAVAILABLE};

export function toStatus(error: unknown): Partial<StatusObject> {
  const known = error instanceof HivemindError ? error : commonErrors.internal(error instanceof Error ? error.message : String(error));
  const metadata = new Metadata();
  metadata.set(CODE, known.code);
  metadata.set(HTTP_STATUS, String(known.status));
  return {code: byHttp[known.status] ?? status.INTERNAL, details: known.message, metadata};
}

/** undefined: it is not one of ours, but of the connection. */
export function fromStatus({details, metadata}: ServiceError): HivemindError | undefined {
  const [code] = metadata.get(CODE);
  const [http] = metadata.get(HTTP_STATUS);
  return typeof code === 'string' && typeof http === 'string' ? new HivemindError(code, {status: Number(http), title: details}, details) : undefined;
}
