import{a,b}from"./chunk-XHJMPF5I.js";import"./chunk-E5IQOVZM.js";import"./chunk-YGLY2FDH.js";import"./chunk-EUNGTJJ3.js";import"./chunk-ONFQWQRN.js";export{b as default,a as hosts};
