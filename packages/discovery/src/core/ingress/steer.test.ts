import {placesOf, stepsTo} from './steer.ts';

interface Row {
  readonly address: string;
  readonly resting?: boolean;
  readonly weight?: number;
  readonly used?: number;
  readonly idle?: number;
}

/** As HAProxy answers both questions, for one backend. */
const answer = (rows: Readonly<Record<string, Row>>, backend = 'shop.site.0'): string => [
  '1', '# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_port',
  ...Object.entries(rows).map(([name, {address, resting = false, weight = 100}]) => `2 ${backend} 1 ${name} ${address} 2 ${resting ? 5 : 4} ${weight} 80`),
  '3 hivemind.next-80 1 next 0.0.0.0 2 0 1 0', '', '',
  '# bkname/svname bkid/svid addr port - used_cur idle_cur idle_per_thr[2]',
  ...Object.entries(rows).map(([name, {address, used = 0, idle = 0}]) => `${backend}/${name} 2/1 ${address} 80 - ${used} ${idle} 0 ${idle}`), '', '',
].join('\n');
const steps = (addresses: readonly string[] | undefined, rows: Readonly<Record<string, Row>>) =>
  stepsTo(addresses === undefined ? {} : {'shop/web': addresses.map((address) => ({address, port: 80, weight: 100}))}, placesOf(answer(rows)));
const EMPTY = {address: '0.0.0.0', resting: true};

describe('what runs, brought to who is in rotation', () => {
  it('says only what is otherwise', () => {
    expect(steps(['10.0.0.1', '10.0.0.2'], {'web.1': {address: '10.0.0.2', idle: 3}, 'web.2': {address: '10.0.0.1', used: 1}, 'web.3': EMPTY})).toEqual({commands: [], closing: [], isShort: false, isLeaving: false});
    expect(steps(['10.0.0.1'], {'web.1': {address: '10.0.0.1', weight: 50}}).commands).toEqual(['set server shop.site.0/web.1 weight 100']);
    expect(steps(['10.0.0.1'], {'web.1': {address: '10.0.0.1', resting: true, used: 2}}).commands).toEqual(['set server shop.site.0/web.1 state ready']);
  });

  it('takes in who comes before it lets go of who leaves', () => {
    expect(steps(['10.0.0.3'], {'web.1': {address: '10.0.0.1'}, 'web.2': EMPTY}).commands).toEqual([
      'set server shop.site.0/web.2 addr 10.0.0.3 port 80', 'set server shop.site.0/web.2 state ready', 'set server shop.site.0/web.1 state maint',
    ]);
  });

  it('gives nobody a place in which a request to another one is under way', () => {
    const busy = {'web.1': {address: '10.0.0.1', resting: true, used: 1}, 'web.2': {address: '10.0.0.2'}};
    expect(steps(['10.0.0.2', '10.0.0.3'], busy)).toMatchObject({commands: [], isShort: true, isLeaving: true});
    expect(steps(['10.0.0.2', '10.0.0.3'], {...busy, 'web.3': EMPTY})).toMatchObject({commands: ['set server shop.site.0/web.3 addr 10.0.0.3 port 80', 'set server shop.site.0/web.3 state ready'], isShort: false});
  });

  it('closes what is kept to who has left, again when more of it is kept', () => {
    const left = steps([], {'web.1': {address: '10.0.0.1', resting: true, used: 1, idle: 2}});
    expect(left).toMatchObject({commands: [], closing: ['set server shop.site.0/web.1 addr 0.0.0.0 port 1'], isLeaving: true});
    const places = placesOf(answer({'web.1': {...EMPTY, idle: 1}})).map((place) => ({...place, port: 1}));
    expect(stepsTo({'shop/web': []}, places).closing).toEqual(['set server shop.site.0/web.1 addr 0.0.0.0 port 2']);
    expect(steps([], {'web.1': EMPTY})).toMatchObject({closing: [], isLeaving: false});
  });

  it('by another configuration, lets go of who is not known from elsewhere', () => {
    const {commands} = stepsTo({'shop/api': [{address: '10.0.0.1', port: 80, weight: 1}]}, placesOf(answer({'web.1': {address: '10.0.0.1'}, 'web.2': {address: '10.0.0.2'}, 'web.3': EMPTY})));
    expect(commands).toEqual(['set server shop.site.0/web.2 state maint']);
  });
});
