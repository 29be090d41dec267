import {hostPort, isLoopback, isWildcard, parseListen} from './listen.ts';

it.each([
  ['127.0.0.1:4483', {host: '127.0.0.1', port: 4483}, true],
  ['127.8.8.8:1', {host: '127.8.8.8', port: 1}, true],
  ['localhost:0', {host: 'localhost', port: 0}, true],
  ['[::1]:80', {host: '::1', port: 80}, true],
  ['[::]:80', {host: '::', port: 80}, false],
  ['0.0.0.0:4483', {host: '0.0.0.0', port: 4483}, false],
  ['127.evil.example:80', {host: '127.evil.example', port: 80}, false],
])('reads %s', (text, address, loopback) => {
  expect(parseListen(text)).toEqual(address);
  expect(isLoopback(address)).toBe(loopback);
});

it.each(['4483', '127.0.0.1', ':80', '127.0.0.1:65536', '127.0.0.1:x', '::1:80', '[127.0.0.1]:80', 'http://127.0.0.1:80', ''])('refuses %j', (text) => {
  expect(() => parseListen(text)).toThrow(expect.objectContaining({code: 'invalid-listen'}));
});

it('tells addresses that can be connected to from those that stand for all', () => {
  expect([{host: '0.0.0.0'}, {host: '::'}, {host: '10.0.0.1'}, {host: '::1'}].map(isWildcard)).toEqual([true, true, false, false]);
  expect([{host: '::1', port: 80}, {host: '10.0.0.1', port: 80}].map(hostPort)).toEqual(['[::1]:80', '10.0.0.1:80']);
});
