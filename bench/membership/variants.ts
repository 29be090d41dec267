/** What is compared with what. */
import {defaultConfig, type ProtocolConfig} from '@hivemind/membership/testing';

/** memberlist's DefaultLANConfig in this protocol's words, and without what memberlist has not. */
const memberlistTimes: ProtocolConfig = {
  ...defaultConfig,
  probeInterval: 1000,
  probeTimeout: 500,
  indirectTimeout: 500,
  suspicionMultiplier: 4,
  confirmations: 2,
  gossipInterval: 200,
  pushPullInterval: 30_000,
  pauseDetection: false,
};

export const variants: Readonly<Record<string, ProtocolConfig>> = {
  'SWIM': {...defaultConfig, lifeguard: false, pauseDetection: false},
  'Lifeguard': {...defaultConfig, pauseDetection: false},
  'Hivemind': defaultConfig,
  'LAN times, SWIM': {...memberlistTimes, lifeguard: false},
  'LAN times, Lifeguard': memberlistTimes,
};
