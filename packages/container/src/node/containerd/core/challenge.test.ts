import {parseChallenge} from './challenge.ts';

describe('what a registry asks for', () => {
  it('is read, quoted or not', () => {
    expect(parseChallenge('Bearer realm="https://auth.example/token",service=example, scope="repository:a/b:pull,push"')).toEqual({
      scheme: 'bearer',
      parameters: {realm: 'https://auth.example/token', service: 'example', scope: 'repository:a/b:pull,push'},
    });
    expect(parseChallenge('Basic realm="a \\"b\\""')).toEqual({scheme: 'basic', parameters: {realm: 'a "b"'}});
    expect(parseChallenge('')).toBeUndefined();
  });
});
