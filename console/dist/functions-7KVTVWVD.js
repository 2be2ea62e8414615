import{a,b}from"./chunk-3DRSKWF6.js";import"./chunk-63DG5MRG.js";import"./chunk-MXWKQQRQ.js";import"./chunk-JUSM7IJR.js";import"./chunk-ONFQWQRN.js";export{b as Logs,a as default};
