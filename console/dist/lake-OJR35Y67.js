import{a,b}from"./chunk-3EMUZ7OP.js";import"./chunk-UP7FCIPX.js";import"./chunk-EUNGTJJ3.js";import"./chunk-ONFQWQRN.js";export{b as Place,a as default};
