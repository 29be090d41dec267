import {once} from 'node:events';
import {createServer, type Server} from 'node:http';
import {hivemind} from '../../../test/command.ts';

const web = {
  name: 'web', namespace: 'default', spec: {headless: false, domain: 'web.example', ports: [{name: 'http', port: 80, protocol: 'tcp'}]},
  status: {phase: 'ready', virtualIp: '10.96.3.4', endpoints: {total: 2, ready: 1}, names: ['web.default.svc.hive', 'web'], conditions: [{type: 'Domain', status: 'false', reason: 'DomainTaken', message: 'shop/web has it'}]},
  meta: {createdAt: '2026-01-01T00:00:00Z'},
};
const answers: Readonly<Record<string, unknown>> = {
  '/api/v1/services': {items: [web], next: null, revision: 'e-1'},
  '/api/v1/services/web': web,
  '/api/v1/services/web/endpoints': {items: [{name: 'web-a', spec: {node: 'n1', address: '10.244.0.2', ports: web.spec.ports, revision: 3, weight: 100}, status: {ready: true, reason: 'Ready'}}], next: null, revision: 'e-1'},
  '/api/v1/services/web/resolve': {answers: [{name: 'web', type: 'A', answer: ['10.96.3.4'], because: 'its virtual IP'}], endpoints: [{container: 'web-a', node: 'n1', inRotation: false, because: 'it is not ready'}]},
};

describe('services at the command line', () => {
  let server: Server;
  let url: string;
  beforeEach(async () => {
    server = createServer((request, response) => response.setHeader('content-type', 'application/json').end(JSON.stringify(answers[(request.url ?? '').split('?')[0] ?? '']))).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  });
  afterEach(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  const run = async (words: string): Promise<string> => {
    const {status, out, err} = await hivemind(`${words} --server ${url}`);
    expect({status, err}).toEqual({status: 0, err: ''});
    return out;
  };

  it('are listed, shown, and explained', async () => {
    expect(await run('service ls')).toMatch(/^SERVICE {2}STATUS {2}READY {2}VIRTUAL IP {2}PORTS {8}DOMAIN {7}AGE\nweb {6}ready {3}1\/2 {4}10\.96\.3\.4 {3}http:80\/tcp {2}web\.example {2}/);
    expect(await run('service get web')).toMatch(/Virtual IP: +10\.96\.3\.4\nPorts: +http:80\/tcp\nNames: +web\.default\.svc\.hive, web\nDomainTaken: shop\/web has it\n/);
    expect(await run('service endpoints web')).toMatch(/web-a +Ready +10\.244\.0\.2 +http:80\/tcp +n1 +3 +100\n/);
    expect(await run('service resolve web')).toMatch(/web +A +10\.96\.3\.4 +its virtual IP\n\nCONTAINER +NODE +ROTATION +BECAUSE\nweb-a +n1 +out +it is not ready\n/);
    expect(JSON.parse(await run('service get web -o json'))).toMatchObject({name: 'web'});
  });

  it('are not mistaken for managers', async () => {
    expect(await hivemind('service nothing')).toMatchObject({status: 2, err: expect.stringContaining('--bus')});
  });
});
