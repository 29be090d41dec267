import pino from 'pino';
import {advertised, checkOptions} from './options.ts';
import {startMember} from './start.ts';

const good = {name: 'a', bind: {host: '127.0.0.1', port: 0}, logger: pino({level: 'silent'})};

describe('what a member is started with', () => {
  it.each([
    ['bind.host', {bind: {host: 'localhost', port: 1}}],
    ['bind.port', {bind: {host: '127.0.0.1', port: 65_536}}],
    ['advertise.port', {advertise: {host: '127.0.0.1', port: 0}}],
    ['join[1].host', {join: [{host: '10.0.0.1', port: 1}, {host: '10.0.0', port: 1}]}],
    ['label', {label: ''}],
    ['keys', {keys: []}],
  ])('is refused where %s is wrong, by name', (path, wrong) => {
    expect(() => checkOptions({...good, ...wrong})).toThrow(expect.objectContaining({code: 'invalid-input', status: 422, errors: [expect.objectContaining({path})]}));
  });

  it.each([
    ['a name that no member can have', {name: ''}, 'member-invalid'],
    ['metadata that does not fit', {metadata: {zone: 'z'.repeat(600)}}, 'metadata-too-large'],
    ['a key of a wrong length', {keys: [Buffer.alloc(5)]}, 'key-invalid'],
    ['an address of another machine', {bind: {host: '192.0.2.1', port: 0}}, 'address-in-use'],
  ])('is refused for %s, and nothing listens', async (_, wrong, code) => {
    await expect(startMember({...good, ...wrong})).rejects.toMatchObject({code});
  });

  it('is told of a port that is taken', async () => {
    const first = await startMember(good);
    try {
      await expect(startMember({...good, name: 'b', bind: first.address})).rejects.toMatchObject({code: 'address-in-use', status: 409});
    } finally {
      await first.close();
    }
  });

  it('writes addresses in one way', () => {
    expect(checkOptions({...good, bind: {host: '0:0:0:0:0:0:0:1', port: 1}}).bind.host).toBe('::1');
  });

  it('tells others an address that they can send to', () => {
    expect(advertised({host: '10.0.0.1', port: 7}, undefined)).toEqual({host: '10.0.0.1', port: 7});
    expect(advertised({host: '0.0.0.0', port: 7}, {host: '10.0.0.2', port: 8})).toEqual({host: '10.0.0.2', port: 8});
  });
});
