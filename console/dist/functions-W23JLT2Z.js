import{a,b}from"./chunk-PA2NMRNC.js";import"./chunk-5KRDI2VY.js";import"./chunk-MXWKQQRQ.js";import"./chunk-IV4S5ZF6.js";export{b as Logs,a as default};
