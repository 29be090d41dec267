import {readdirSync} from 'node:fs';
import {join} from 'node:path';
import {loadSync, type MessageTypeDefinition} from '@grpc/proto-loader';
import fc from 'fast-check';
import {type MessageType} from '@hivemind/protobuf';
import {calls, ContainerDelete, streams, TaskExit, TaskOom, TaskStart, writeContent, type Method} from './messages.ts';

interface FieldDescriptor {
  readonly name: string;
  readonly label: string;
  readonly type: string;
  readonly typeName: string;
}
interface Descriptor {
  readonly field: readonly FieldDescriptor[];
  readonly nestedType: readonly (Descriptor & {readonly name: string; readonly options?: {readonly mapEntry?: boolean}})[];
  readonly enumType?: unknown;
}
interface Reference {
  readonly path: string;
  readonly requestType: MessageTypeDefinition<object, object>;
  readonly responseType: MessageTypeDefinition<object, object>;
}

const dir = join(import.meta.dirname, '../../../../proto/containerd');
const proto = loadSync(readdirSync(dir), {includeDirs: [dir], longs: Number, enums: String, defaults: true, arrays: true, objects: true, bytes: Buffer});
const messages = new Map(Object.entries(proto).filter(([, definition]) => 'format' in definition && String(definition.format).endsWith(' DescriptorProto')).map(([name, definition]) => [name, definition as unknown as MessageTypeDefinition<object, object>]));
const enums = new Map(Object.entries(proto).filter(([, definition]) => 'format' in definition && String(definition.format).includes('EnumDescriptor')).map(([name, definition]) => [name, (definition as unknown as {type: {value: {name: string; number: number}[]}}).type.value]));
const methods = Object.values(proto).flatMap((definition) => ('format' in definition ? [] : (Object.values(definition) as unknown as Reference[])));

const word = fc.string({unit: 'grapheme', maxLength: 10});
const key = word.filter((text) => text !== '__proto__');
const scalars: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  TYPE_STRING: word,
  TYPE_BYTES: fc.uint8Array({maxLength: 10}).map((value) => Buffer.from(value)),
  TYPE_BOOL: fc.boolean(),
  TYPE_UINT32: fc.integer({min: 0, max: 0xffffffff}),
  TYPE_INT32: fc.integer({min: -0x80000000, max: 0x7fffffff}),
  TYPE_INT64: fc.maxSafeInteger(),
};

/** Messages of a type, from its description. */
function valuesOf(type: Descriptor): fc.Arbitrary<Record<string, unknown>> {
  return fc.record(Object.fromEntries(type.field.map((field) => [field.name, fieldValues(field, type)])), {noNullPrototype: true});
}

function fieldValues(field: FieldDescriptor, owner: Descriptor): fc.Arbitrary<unknown> {
  const entry = owner.nestedType.find(({name, options}) => name === field.typeName.split('.').at(-1) && options?.mapEntry === true);
  if (entry) return fc.dictionary(key, fieldValues(entry.field[1]!, entry), {maxKeys: 3, noNullPrototype: true});
  const one = scalars[field.type] ?? (field.type === 'TYPE_ENUM' ? fc.constantFrom(...named(enums, field.typeName, owner).map(({name}) => name)) : valuesOf(nestedOf(field, owner)));
  return field.label === 'LABEL_REPEATED' ? fc.array(one, {maxLength: 3}) : one;
}

function nestedOf(field: FieldDescriptor, owner: Descriptor): Descriptor {
  return owner.nestedType.find(({name}) => name === field.typeName.split('.').at(-1)) ?? (named(messages, field.typeName, owner).type as Descriptor);
}

/** The loader names some types in full and some as they are written: the most alike is it. */
function named<T>(known: ReadonlyMap<string, T>, name: string, owner: Descriptor): T {
  const bare = name.replace(/^\./, '');
  const candidates = [...known].filter(([full]) => full === bare || full.endsWith(`.${bare}`));
  const near = candidates.find(([full]) => messages.get(full.slice(0, full.lastIndexOf('.')))?.type === owner);
  const found = near ?? candidates.find(([full]) => full === bare) ?? candidates[0];
  if (!found) throw new Error(`no type ${name}`);
  return found[1];
}

/** An enum's zero is '' in the tables, what is absent is undefined, and the loader leaves its own Any as it is written. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return [...value];
  // Bytes in parts: nothing is repeated bytes.
  if (Array.isArray(value) && value.every((part) => part instanceof Uint8Array)) return value.flatMap((part) => [...part]);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name === 'type_url' ? 'typeUrl' : name, plain(inner)]));
  if (value === null || value === undefined || value === 'UNKNOWN' || value === 'STAT') return '';
  return value;
}

function agree(ours: MessageType<object>, theirs: MessageTypeDefinition<object, object>): void {
  fc.assert(fc.property(valuesOf(theirs.type as Descriptor), (value) => {
    const wire = theirs.serialize(value);
    expect(plain(ours.decode(wire))).toEqual(plain(theirs.deserialize(wire)));
    expect(theirs.deserialize(ours.encode(ours.decode(wire)))).toEqual(theirs.deserialize(wire));
  }), {numRuns: 20});
}

describe('the messages of containerd', () => {
  const ours: readonly Method<object, object>[] = [...Object.values(calls), ...Object.values(streams), writeContent];

  it('are all of proto/containerd, by the same paths', () => {
    expect(ours.map(({path}) => path).toSorted()).toEqual(methods.map(({path}) => path).toSorted());
  });

  it.each(ours)('$path: read and written as another library does', ({path, request, reply}) => {
    const theirs = methods.find((method) => method.path === path)!;
    agree(request, theirs.requestType);
    agree(reply, theirs.responseType);
  });

  it.each([['TaskStart', TaskStart], ['TaskExit', TaskExit], ['TaskOOM', TaskOom], ['ContainerDelete', ContainerDelete]] as const)('event %s: as another library does', (name, type) => {
    agree(type, messages.get(`containerd.events.${name}`)!);
  });
});
