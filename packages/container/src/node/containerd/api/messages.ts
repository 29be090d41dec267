/** `proto/containerd` as tables. A test holds one to the other. */
import {bytes, type Decoded, field, flag, mapOf, type MessageType, messageType, nested, oneOf, optional, parts, repeated, signed, text, unsigned} from '@hivemind/protobuf';

const Empty = messageType({});
export const Timestamp = messageType({seconds: field(1, signed), nanos: field(2, signed)});
export type Timestamp = Decoded<typeof Timestamp>;
export const Any = messageType({typeUrl: field(1, text), value: field(2, bytes)});
export type Any = Decoded<typeof Any>;
const FieldMask = messageType({paths: repeated(1, text)});
const anyValue = {...nested(Any), initial: {typeUrl: '', value: new Uint8Array()}};

const Mount = messageType({type: field(1, text), source: field(2, text), target: field(3, text), options: repeated(4, text)});
export type Mount = Decoded<typeof Mount>;
const Descriptor = messageType({mediaType: field(1, text), digest: field(2, text), size: field(3, signed), annotations: mapOf(5, text)});
const Envelope = messageType({timestamp: optional(1, nested(Timestamp)), namespace: field(2, text), topic: field(3, text), event: optional(4, nested(Any))});

const ContainerRuntime = messageType({name: field(1, text), options: optional(2, nested(Any))});
const Container = messageType({
  id: field(1, text),
  labels: mapOf(2, text),
  image: field(3, text),
  runtime: optional(4, nested(ContainerRuntime)),
  spec: optional(5, nested(Any)),
  snapshotter: field(6, text),
  snapshotKey: field(7, text),
  createdAt: optional(8, nested(Timestamp)),
  extensions: mapOf(10, anyValue),
});
export type Container = Decoded<typeof Container>;
const OneContainer = messageType({container: optional(1, nested(Container))});
const ById = messageType({id: field(1, text)});
const Filters = messageType({filters: repeated(1, text)});

const Process = messageType({
  containerId: field(1, text),
  id: field(2, text),
  pid: field(3, unsigned),
  status: field(4, oneOf('CREATED', 'RUNNING', 'STOPPED', 'PAUSED', 'PAUSING')),
  stdin: field(5, text),
  stdout: field(6, text),
  stderr: field(7, text),
  terminal: field(8, flag),
  exitStatus: field(9, unsigned),
  exitedAt: optional(10, nested(Timestamp)),
});
export type Process = Decoded<typeof Process>;
const ProcessRef = messageType({containerId: field(1, text), execId: field(2, text)});
const CreateTaskRequest = messageType({
  containerId: field(1, text),
  rootfs: repeated(3, nested(Mount)),
  stdin: field(4, text),
  stdout: field(5, text),
  stderr: field(6, text),
  terminal: field(7, flag),
  options: optional(9, nested(Any)),
});
const ExecProcessRequest = messageType({
  containerId: field(1, text),
  stdin: field(2, text),
  stdout: field(3, text),
  stderr: field(4, text),
  terminal: field(5, flag),
  spec: optional(6, nested(Any)),
  execId: field(7, text),
});
const DeleteResponse = messageType({id: field(1, text), pid: field(2, unsigned), exitStatus: field(3, unsigned), exitedAt: optional(4, nested(Timestamp))});

const SnapshotInfo = messageType({name: field(1, text), parent: field(2, text), kind: field(3, oneOf('VIEW', 'ACTIVE', 'COMMITTED')), labels: mapOf(6, text)});
const NewSnapshot = messageType({snapshotter: field(1, text), key: field(2, text), parent: field(3, text), labels: mapOf(4, text)});
const SnapshotRef = messageType({snapshotter: field(1, text), key: field(2, text)});
const Mounts = messageType({mounts: repeated(1, nested(Mount))});
const CommitSnapshotRequest = messageType({snapshotter: field(1, text), name: field(2, text), key: field(3, text), labels: mapOf(4, text)});

const ContentInfo = messageType({digest: field(1, text), size: field(2, signed), labels: mapOf(5, text)});
const OneContent = messageType({info: optional(1, nested(ContentInfo))});
const writeAction = oneOf('WRITE', 'COMMIT');
const WriteContentRequest = messageType({
  action: field(1, writeAction),
  ref: field(2, text),
  total: field(3, signed),
  expected: field(4, text),
  offset: field(5, signed),
  data: field(6, parts),
  labels: mapOf(7, text),
});
/** An action of '' asks how far it is (STAT). */
export type WriteContentRequest = Decoded<typeof WriteContentRequest>;
const WriteContentResponse = messageType({action: field(1, writeAction), offset: field(4, signed), total: field(5, signed), digest: field(6, text)});
export type WriteContentResponse = Decoded<typeof WriteContentResponse>;

const Image = messageType({name: field(1, text), labels: mapOf(2, text), target: optional(3, nested(Descriptor)), createdAt: optional(7, nested(Timestamp)), updatedAt: optional(8, nested(Timestamp))});
export type Image = Decoded<typeof Image>;
const OneImage = messageType({image: optional(1, nested(Image))});
const Namespace = messageType({name: field(1, text), labels: mapOf(2, text)});
const OneNamespace = messageType({namespace: optional(1, nested(Namespace))});
const Plugin = messageType({type: field(1, text), id: field(2, text), exports: mapOf(5, text)});
const Lease = messageType({id: field(1, text), createdAt: optional(2, nested(Timestamp)), labels: mapOf(3, text)});

export const TaskStart = messageType({containerId: field(1, text), pid: field(2, unsigned)});
export const TaskExit = messageType({containerId: field(1, text), id: field(2, text), pid: field(3, unsigned), exitStatus: field(4, unsigned), exitedAt: optional(5, nested(Timestamp))});
export const TaskOom = messageType({containerId: field(1, text)});
export const ContainerDelete = ById;

export interface Method<Request, Reply> {
  readonly path: string;
  readonly request: MessageType<Request>;
  readonly reply: MessageType<Reply>;
}

function method<Request, Reply>(service: string, name: string, request: MessageType<Request>, reply: MessageType<Reply>): Method<Request, Reply> {
  const kind = service.toLowerCase();
  return {path: `/containerd.services.${kind}.v1.${service}/${name}`, request, reply};
}

/** Asked once, answered once. */
export const calls = {
  getContainer: method('Containers', 'Get', ById, OneContainer),
  createContainer: method('Containers', 'Create', OneContainer, OneContainer),
  deleteContainer: method('Containers', 'Delete', ById, Empty),
  createTask: method('Tasks', 'Create', CreateTaskRequest, messageType({containerId: field(1, text), pid: field(2, unsigned)})),
  startTask: method('Tasks', 'Start', ProcessRef, messageType({pid: field(1, unsigned)})),
  deleteTask: method('Tasks', 'Delete', messageType({containerId: field(1, text)}), DeleteResponse),
  deleteProcess: method('Tasks', 'DeleteProcess', ProcessRef, DeleteResponse),
  getTask: method('Tasks', 'Get', ProcessRef, messageType({process: optional(1, nested(Process))})),
  listTasks: method('Tasks', 'List', messageType({filter: field(1, text)}), messageType({tasks: repeated(1, nested(Process))})),
  kill: method('Tasks', 'Kill', messageType({containerId: field(1, text), execId: field(2, text), signal: field(3, unsigned), all: field(4, flag)}), Empty),
  resume: method('Tasks', 'Resume', messageType({containerId: field(1, text)}), Empty),
  exec: method('Tasks', 'Exec', ExecProcessRequest, Empty),
  resizePty: method('Tasks', 'ResizePty', messageType({containerId: field(1, text), execId: field(2, text), width: field(3, unsigned), height: field(4, unsigned)}), Empty),
  closeIo: method('Tasks', 'CloseIO', messageType({containerId: field(1, text), execId: field(2, text), stdin: field(3, flag)}), Empty),
  wait: method('Tasks', 'Wait', ProcessRef, messageType({exitStatus: field(1, unsigned), exitedAt: optional(2, nested(Timestamp))})),
  prepareSnapshot: method('Snapshots', 'Prepare', NewSnapshot, Mounts),
  viewSnapshot: method('Snapshots', 'View', NewSnapshot, Mounts),
  mounts: method('Snapshots', 'Mounts', SnapshotRef, Mounts),
  commitSnapshot: method('Snapshots', 'Commit', CommitSnapshotRequest, Empty),
  removeSnapshot: method('Snapshots', 'Remove', SnapshotRef, Empty),
  statSnapshot: method('Snapshots', 'Stat', SnapshotRef, messageType({info: optional(1, nested(SnapshotInfo))})),
  contentInfo: method('Content', 'Info', messageType({digest: field(1, text)}), OneContent),
  updateContent: method('Content', 'Update', messageType({info: optional(1, nested(ContentInfo)), updateMask: optional(2, nested(FieldMask))}), OneContent),
  abortContent: method('Content', 'Abort', messageType({ref: field(1, text)}), Empty),
  getImage: method('Images', 'Get', messageType({name: field(1, text)}), OneImage),
  listImages: method('Images', 'List', Filters, messageType({images: repeated(1, nested(Image))})),
  createImage: method('Images', 'Create', OneImage, OneImage),
  updateImage: method('Images', 'Update', messageType({image: optional(1, nested(Image)), updateMask: optional(2, nested(FieldMask))}), OneImage),
  deleteImage: method('Images', 'Delete', messageType({name: field(1, text), sync: field(2, flag)}), Empty),
  applyDiff: method('Diff', 'Apply', messageType({diff: optional(1, nested(Descriptor)), mounts: repeated(2, nested(Mount))}), messageType({applied: optional(1, nested(Descriptor))})),
  createLease: method('Leases', 'Create', messageType({id: field(1, text), labels: mapOf(3, text)}), messageType({lease: optional(1, nested(Lease))})),
  deleteLease: method('Leases', 'Delete', messageType({id: field(1, text), sync: field(2, flag)}), Empty),
  listLeases: method('Leases', 'List', Filters, messageType({leases: repeated(1, nested(Lease))})),
  plugins: method('Introspection', 'Plugins', Filters, messageType({plugins: repeated(1, nested(Plugin))})),
  createNamespace: method('Namespaces', 'Create', OneNamespace, OneNamespace),
  publish: method('Events', 'Publish', messageType({topic: field(1, text), event: optional(2, nested(Any))}), Empty),
  version: method('Version', 'Version', Empty, messageType({version: field(1, text), revision: field(2, text)})),
};

/** Answered by a stream. */
export const streams = {
  listContainers: method('Containers', 'ListStream', Filters, OneContainer),
  readContent: method('Content', 'Read', messageType({digest: field(1, text), offset: field(2, signed), size: field(3, signed)}), messageType({offset: field(1, signed), data: field(2, bytes)})),
  subscribe: method('Events', 'Subscribe', Filters, Envelope),
};

/** A stream both ways. */
export const writeContent = method('Content', 'Write', WriteContentRequest, WriteContentResponse);
